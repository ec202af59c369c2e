import { headingsOf } from './anchors.mjs'

const order = ['networks', 'tensors', 'data', 'training', 'checkpoints', 'evaluation', 'runs', 'errors', 'command-line']

function entry(name, page) {
  const [, words = ''] = /^# .+\n\n([\s\S]*?)\n\n/.exec(page) ?? []
  const links = headingsOf(page)
    .filter(({ level }) => level === 3)
    .map(({ title, anchor }) => `[${title}](${name}.md#${anchor})`)
  return `## [${name.replace('-', ' ')}](${name}.md)\n\n${words}\n\n${links.join(', ')}\n`
}

/** The first page: each topic in its words, and all that stands in it. */
export function indexPage(pages) {
  const names = [...pages.keys()].map((file) => file.replace('.md', ''))
  const topics = [...order.filter((name) => names.includes(name)), ...names.filter((name) => !order.includes(name))]
  return `# Reference

Everything that \`import { ... } from 'vggnet'\` gives, and every command. Made from the docstrings by \`npm run docs\`: change
those, not these pages. *Sect.* are sections of the paper, arXiv 1409.1556.

${topics.map((name) => entry(name, pages.get(`${name}.md`))).join('\n')}`
}
