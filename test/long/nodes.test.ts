import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest'
import { type Packed, pack } from '../package/packed.js'
import { compileProgram, newUser, type User, unreachable } from '../package/user.js'
import { root } from '../setup/command.js'
import { fetchedNode, installedPnpm, nodes } from '../setup/nodes.js'

const { version, devDependencies } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))
const types = `@types/node@${devDependencies['@types/node']}`

// sharp imports JSON, which the oldest Nodes mention
const ofSharp = /^.*ExperimentalWarning: Importing JSON modules.*\n\(Use `node --trace-warnings.*\n/

let scratch: string
let packed: Packed
beforeAll(async () => {
  scratch = mkdtempSync(path.join(tmpdir(), 'vggnet-test-'))
  packed = await pack(scratch)
}, 600_000)
afterAll(() => rmSync(scratch, { recursive: true, force: true }), 300_000)

/** What `work` gives; the test is skipped where no registry can be reached. */
async function fetching<T>(context: TestContext, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const reason = unreachable(error)
    if (reason === undefined) throw error
    return context.skip(`no registry could be reached (${reason})`)
  }
}

const managers: Record<string, { install(user: User): Promise<unknown>; command: readonly [string, ...string[]] }> = {
  npm: {
    install: async ({ run }) => {
      await run('npm', 'install', '--ignore-scripts', packed.file)
      await run('npm', 'install', '--ignore-scripts', '--save-dev', types)
    },
    command: ['npx'],
  },
  pnpm: {
    install: async ({ run }) => {
      const store = ['--store-dir', path.join(scratch, 'pnpm-store')]
      await run('pnpm', 'add', '--ignore-scripts', ...store, packed.file)
      await run('pnpm', 'add', '--ignore-scripts', ...store, '--save-dev', types)
    },
    command: ['pnpm', 'exec'],
  },
}

describe.each(Object.keys(nodes))('on Node %s', (node) => {
  test.for(Object.keys(managers))(
    '%s installs it without scripts, and it trains, saves and loads',
    { timeout: 900_000 },
    async (name, context) => {
      const folder = path.join(scratch, `${name}-${node}`)
      mkdirSync(folder)
      const program = await fetching(context, () => fetchedNode(node))
      const pnpm = await fetching(context, () => installedPnpm(scratch))
      const user = newUser(folder, { node: program, pnpm })
      const { install, command } = managers[name]
      await fetching(context, () => install(user))
      await compileProgram(user)
      expect((await user.run('node', '--version')).stdout).toBe(`v${node}\n`)
      const { stdout, stderr } = await user.run('node', 'program.js')
      expect(stderr.replace(ofSharp, '')).toBe('')
      expect(JSON.parse(stdout)).toMatchObject({ shape: [1, 500], equal: true })
      const [first, ...more] = command
      expect((await user.run(first, ...more, 'vggnet', '--version')).stdout).toBe(`${version}\n`)
      const { works, system } = JSON.parse((await user.run(first, ...more, 'vggnet', 'doctor', '--json')).stdout)
      expect(works).toBe(true)
      expect(system.node).toBe(node)
      rmSync(folder, { recursive: true })
    },
  )
})
