import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest'
import { root } from '../setup/command.js'
import { pack } from './packed.js'
import { compileProgram, newUser, type User, unreachable } from './user.js'

const { version, devDependencies } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))

describe('the package, installed by npm without scripts in an empty folder, on a system without compiler, Python and cmake', () => {
  let scratch: string
  let user: User
  let offline: string | undefined

  beforeAll(async () => {
    scratch = mkdtempSync(path.join(tmpdir(), 'vggnet-test-'))
    const { file } = await pack(scratch)
    user = newUser(scratch, { node: process.execPath })
    try {
      await user.run('npm', 'install', '--ignore-scripts', file)
      await user.run(
        'npm',
        'install',
        '--ignore-scripts',
        '--save-dev',
        `@types/node@${devDependencies['@types/node']}`,
      )
    } catch (error) {
      offline = unreachable(error)
      if (offline === undefined) throw error
    }
  })
  afterAll(() => rmSync(scratch, { recursive: true, force: true }))

  const installed = (context: TestContext) => {
    if (offline !== undefined) context.skip(`npm reached no registry (${offline}), and its cache lacks a package`)
    return user
  }

  test('creates VGG16, forwards 224x224, trains ten steps, saves, loads and gets the same logits', async (context) => {
    const { run } = installed(context)
    await compileProgram(user)
    const { stdout, stderr } = await run('node', 'program.js')
    const { shape, losses, equal, parameters } = JSON.parse(stdout)
    expect(stderr).toBe('')
    expect(shape).toEqual([1, 500])
    expect(losses).toHaveLength(10)
    expect(losses.at(-1)).toBeLessThan(losses[0])
    expect(equal).toBe(true)
    expect(parameters).toBe(32)
  })

  test('answers npx vggnet --version and doctor', async (context) => {
    const { run, folder } = installed(context)
    expect((await run('npx', 'vggnet', '--version')).stdout).toBe(`${version}\n`)
    const { addon, works } = JSON.parse((await run('npx', 'vggnet', 'doctor', '--json')).stdout)
    expect(works).toBe(true)
    const manifest = 'node_modules/vggnet/prebuilds/linux-x64/manifest.json'
    expect(addon.buildId).toBe(JSON.parse(readFileSync(path.join(folder, manifest), 'utf8')).buildId)
    expect(path.relative(folder, addon.path)).toMatch(
      /^node_modules\/vggnet\/prebuilds\/linux-x64\/vggnet\.glibc\.node$/,
    )
  })

  test('was installed without any build tool', async (context) => {
    const { run, folder } = installed(context)
    for (const program of ['g++', 'gcc', 'cc', 'make', 'cmake', 'ninja', 'python3', 'git']) {
      await expect(run(program, '--version'), program).rejects.toThrow(/not found/)
    }
    expect(existsSync(path.join(folder, 'node_modules/vggnet/build'))).toBe(false)
    const inside = ['-C', folder, 'rev-parse', '--is-inside-work-tree']
    expect(() => execFileSync('git', inside, { stdio: 'ignore' })).toThrow()
  })
})
