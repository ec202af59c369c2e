// A real Node that is too old: the error says so, instead of a syntax error or a missing function.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { nodeFloor, nodeObstacle } from '../../lib/platform/load/node-check.js'
import { unreachable } from '../package/user.js'
import { root } from '../setup/command.js'
import { fetchedNode, tooOld } from '../setup/nodes.js'

const found = await fetchedNode(tooOld).then(
  (program) => ({ program }),
  (error) => {
    const reason = unreachable(error)
    if (reason === undefined) throw error
    return { reason: `Node ${tooOld} is not in the cache, and no registry could be reached (${reason})` }
  },
)
const run = (program: string, words: readonly string[]) =>
  spawnSync(program, words, { cwd: root, encoding: 'utf8', env: { ...process.env, NODE_OPTIONS: '' } })

const sentence =
  /vggnet does not run on this Node\.\nFound: Node 18\.\d+\.\d+ \(\S+\)\nRequired: Node 20\.17 or later\nCure: a newer Node first on the PATH: /

test('the import', (context) => {
  if ('reason' in found) return context.skip(found.reason)
  const program =
    "import('vggnet').catch((error) => console.log(JSON.stringify([error.name, error.code, error.message])))"
  const { status, stdout, stderr } = run(found.program, ['-e', program])
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(JSON.parse(stdout)).toEqual(['VggError', 'UNSUPPORTED_PLATFORM', expect.stringMatching(sentence)])
})

test.for([[], ['--help'], ['doctor', '--json'], ['train', 'photos']])('the command line: %j', (words, context) => {
  if ('reason' in found) return context.skip(found.reason)
  const { status, stdout, stderr } = run(found.program, ['dist/cli/main.js', ...words])
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
  expect(stderr).toMatch(sentence)
  expect(stderr).toMatch(/^vggnet: UNSUPPORTED_PLATFORM: /)
})

test('the oldest version is that of package.json', () => {
  expect(JSON.parse(readFileSync('package.json', 'utf8')).engines.node).toBe(`>=${nodeFloor}`)
  for (const version of ['20.17.0', '20.20.2', '22.0.0', '26.1.0']) expect(nodeObstacle(version, 'node')).toBe('')
  for (const version of ['18.20.8', '20.16.1', '9.0.0']) expect(nodeObstacle(version, 'node')).toContain(version)
})
