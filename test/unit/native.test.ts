import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadFailure, type Machine } from '../../lib/load-failure.js'

const here: Machine = { platform: 'linux', arch: 'x64', node: '20.20.2', napi: '9', glibc: '2.36' }

describe('the error of a binary that does not load', () => {
  it('says what was tried, why it failed, what is there, and what to type', () => {
    const error = loadFailure([{ place: '/a/vggnet.node', reason: "version `GLIBC_2.34' not found" }], here, true)
    expect(error.code).toBe('NATIVE_LOAD_FAILED')
    expect(error.message.split('\n')).toEqual([
      'Could not load the native binary of vggnet.',
      'Tried:',
      "- /a/vggnet.node: version `GLIBC_2.34' not found",
      'Found: Node 20.20.2 (Node-API 9, needs 8), linux x64, glibc 2.36 (needs 2.34 or later)',
      'Cure: `npm run build:native` (in the checkout, builds it)',
    ])
    expect(loadFailure([], here, false).message).toContain('npm install --force vggnet')
  })

  it.each([
    [{ platform: 'darwin' }, /Found: .*darwin x64/],
    [{ arch: 'arm64' }, /Found: .*linux arm64/],
    [{ glibc: undefined }, /no glibc/],
  ])('on another platform (%j) says which are supported', (other, message) => {
    const error = loadFailure([], { ...here, ...other }, true)
    expect(error.code).toBe('UNSUPPORTED_PLATFORM')
    expect(error.message).toMatch(/Linux x64 with glibc 2.34 or later/)
    expect(error.message).toMatch(message)
  })

  it('is what a program gets, as a rejected promise, after OpenMP was told to wait without spinning', () => {
    const program = `
      import { VGG } from ${JSON.stringify(path.resolve('lib/index.ts'))}
      const error = await VGG.create({ variant: 'A', classes: 2 }).catch((reason) => reason)
      console.log(JSON.stringify([error.code, error.message, process.env.OMP_WAIT_POLICY]))`
    const { OMP_WAIT_POLICY: _, ...rest } = process.env
    const run = (env: NodeJS.ProcessEnv) => {
      const { stdout, stderr } = spawnSync(
        process.execPath,
        ['--import', 'tsx', '--input-type=module', '--eval', program],
        {
          encoding: 'utf8',
          env: { ...rest, VGGNET_BINARY: '/nowhere/vggnet.node', ...env },
        },
      )
      return JSON.parse(stdout || JSON.stringify([stderr]))
    }
    const message = expect.stringMatching(/- \/nowhere\/vggnet.node: /)
    expect(run({})).toEqual(['NATIVE_LOAD_FAILED', message, 'passive'])
    expect(run({ OMP_WAIT_POLICY: 'active' })).toEqual(['NATIVE_LOAD_FAILED', message, 'active'])
  })
})
