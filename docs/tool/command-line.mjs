// The page of the command line: what `vggnet help` says, of every command and of theirs.
import { run } from '../../scripts/setup/command.mjs'
import { SetupProblem } from '../../scripts/setup/problem.mjs'

/** The help of what is compiled, at the width that it has without a terminal. */
async function helpOf(root, words) {
  const program = ['dist/cli/main.js', ...words, '--help']
  const { ok, output, stdout } = await run(process.execPath, program, { cwd: root, env: { NO_COLOR: '1' } })
  if (!ok)
    throw new SetupProblem('BUILD_FAILED', `vggnet ${words.join(' ')} --help failed; its output is above`, output)
  return stdout.trimEnd()
}

/** Names of the commands that a help lists, `help` itself left out. */
export function commandsIn(help) {
  const [, list = ''] = /^Commands:\n((?: {2}.*\n?)*)/m.exec(help) ?? []
  const names = [...list.matchAll(/^ {2}([a-z][\w-]*)/gm)].map(([, name]) => name)
  return names.filter((name) => name !== 'help')
}

const block = (words, help) => {
  const title = `${'#'.repeat(words.length + 2)} ${['vggnet', ...words].join(' ')}`
  return `${title}\n\n\`\`\`text\n${help}\n\`\`\`\n`
}

async function pagesOf(root, words) {
  const help = await helpOf(root, words)
  const below = []
  for (const name of commandsIn(help)) below.push(...(await pagesOf(root, [...words, name])))
  return [block(words, help), ...below]
}

export async function commandLinePage(root) {
  const pages = await pagesOf(root, [])
  return `# command line

What the commands say of themselves. \`npx vggnet\` runs them, in a checkout too.

${pages.join('\n')}`
}
