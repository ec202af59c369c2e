import { SetupProblem } from '../../scripts/setup/problem.mjs'

/** The headings of a page, and their positions as a repository browser makes them: a second one of the same letters gets -1. */
export function headingsOf(page) {
  const seen = new Map()
  return [...page.matchAll(/^(#{1,6}) (.+)$/gm)].map(([, marks, title]) => {
    const plain = title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(/\s/g, '-')
    const times = seen.get(plain) ?? 0
    seen.set(plain, times + 1)
    return { level: marks.length, title, anchor: times === 0 ? plain : `${plain}-${times}` }
  })
}

const runFiles = (page) =>
  new Set([
    ...headingsOf(page).map(({ anchor }) => anchor),
    ...[...page.matchAll(/<a id="([^"]+)"/g)].map(([, id]) => id),
  ])

/**
 * The pages with links that lead somewhere. typedoc-plugin-markdown counts the type of an accessor as a heading of its own, and
 * gives the real one -1.
 * @throws SetupProblem for a link that leads nowhere all the same
 */
export function withGoodLinks(pages) {
  const positions = new Map([...pages].map(([name, page]) => [name, runFiles(page)]))
  const mended = (name, page) =>
    page.replaceAll(/\]\(([\w-]+\.md)?#([^)]+)\)/g, (link, file = '', anchor) => {
      const there = positions.get(file === '' ? name : file)
      if (there?.has(anchor)) return link
      const plain = anchor.replace(/-1$/, '')
      if (there?.has(plain)) return `](${file}#${plain})`
      throw new SetupProblem(
        'BUILD_FAILED',
        `docs/api/${name} would have a link to ${file}#${anchor}, which leads nowhere`,
      )
    })
  return new Map([...pages].map(([name, page]) => [name, mended(name, page)]))
}
