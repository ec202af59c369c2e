import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { type Installed, isOlder, loadFailure, type Machine } from '../../lib/platform/load/failure.js'

const here: Machine = { platform: 'linux', arch: 'x64', node: '20.20.2', napi: '9', glibc: '2.36' }
const checkout: Installed = { root: '/a', version: '1.2.3', checkout: true, chosen: false }

describe('the error of a binary that does not load', () => {
  it('says what was tried, why it failed, what is there, what is required, and what to type', () => {
    const missing = 'libdnnl.so.3: cannot open shared object file: No such file or directory'
    const attempt = { location: '/a/vggnet.node', reason: missing }
    const error = loadFailure([attempt], here, checkout)
    expect(error.code).toBe('NATIVE_LOAD_FAILED')
    expect(error.message.split('\n')).toEqual([
      'Could not load the native binary of vggnet 1.2.3.',
      'Tried:',
      `- /a/vggnet.node: ${missing}`,
      'Found: linux x64, glibc 2.36, Node 20.20.2 (Node-API 9)',
      'Required: linux x64, glibc 2.34 or later, libdnnl.so.3, Node 20.17 or later (Node-API 8)',
      'Cure: libdnnl.so.3 must be in the folder of the binary: `rm -rf /a/build && npm run build:native` in the checkout builds it again',
    ])
  })

  // what a test cannot bring about here
  it.each([
    ['x.node: failed to map segment from shared object', /without noexec/],
    ['a process that loaded it as a test was ended by SIGILL', /a processor with its instructions/],
    ['EACCES: permission denied', /chmod a\+rX/],
    [
      'libstdc++.so.6: cannot open shared object file: No such file or directory',
      /package that contains libstdc\+\+\.so\.6/,
    ],
  ])('%s', (reason, words) => {
    expect(loadFailure([{ location: '/a/x.node', reason }], here, checkout).message).toMatch(words)
  })

  it.each([
    [{ checkout: false }, '`rm -rf /a && npm install`'],
    [
      { checkout: false, root: '/a/node_modules/.pnpm/vggnet@1/node_modules/vggnet' },
      '`rm -rf node_modules && pnpm install`',
    ],
    [{ chosen: true }, 'unset VGGNET_BINARY'],
  ])('has the cure of an installation like %j', (how, cure) => {
    const reason = 'x.node: file too short'
    expect(loadFailure([{ location: 'x', reason }], here, { ...checkout, ...how }).message).toContain(`Cure: ${cure}`)
  })

  it('compares versions by number', () => {
    expect([isOlder('2.9', '2.34'), isOlder('2.34', '2.34'), isOlder('2.100', '2.34')]).toEqual([true, false, false])
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
    const message = expect.stringMatching(/- \/nowhere\/vggnet.node \(VGGNET_BINARY\): /)
    expect(run({})).toEqual(['NATIVE_LOAD_FAILED', message, 'passive'])
    expect(run({ OMP_WAIT_POLICY: 'active' })).toEqual(['NATIVE_LOAD_FAILED', message, 'active'])
  })
})
