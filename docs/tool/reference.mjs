// The pages of docs/api/, as texts by their names.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { run } from '../../scripts/setup/command.mjs'
import { SetupProblem } from '../../scripts/setup/problem.mjs'
import { withGoodLinks } from './anchors.mjs'
import { commandLinePage } from './command-line.mjs'
import { indexPage } from './index-page.mjs'

const tool = path.dirname(fileURLToPath(import.meta.url))

/** What typedoc makes of the docstrings; its warnings are errors. */
async function pagesOfTypedoc(root) {
  const folder = mkdtempSync(path.join(tmpdir(), 'vggnet-docs-'))
  try {
    const program = path.join(tool, 'node_modules', 'typedoc', 'bin', 'typedoc')
    const words = [program, '--options', path.join(tool, 'typedoc.json'), '--out', folder, '--logLevel', 'Warn']
    const { ok, output } = await run(process.execPath, words, { cwd: root, env: { NO_COLOR: '1' } })
    if (!ok)
      throw new SetupProblem('BUILD_FAILED', 'typedoc is not content with the docstrings; it says why above', output)
    const names = readdirSync(folder).filter((name) => name.endsWith('.md') && name !== 'README.md')
    return new Map(names.sort().map((name) => [name, readFileSync(path.join(folder, name), 'utf8')]))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Every page: the topics, the command line, and the page that leads to them. */
export async function referencePages(root) {
  const pages = await pagesOfTypedoc(root)
  pages.set('command-line.md', await commandLinePage(root))
  return withGoodLinks(new Map([['README.md', indexPage(pages)], ...pages]))
}
