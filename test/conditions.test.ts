import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { native } from '../lib/platform/native.js'
import { root } from './setup/command.js'

// The tests of the layers, and of what else is native, once more, where they run under other conditions than usual.
const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--no-color']
const layers = ['test/device']
const networks = ['test/network/calls.test.ts', 'test/network/bad-input.test.ts']
const images = ['test/unit/rescale.test.ts', 'test/unit/jpeg.test.ts', 'test/network/decoding.test.ts']

async function expectPass(words: readonly string[], environment: NodeJS.ProcessEnv): Promise<void> {
  const usual = Object.entries(process.env).filter(([name]) => !name.startsWith('VITEST'))
  const env = { ...Object.fromEntries(usual), ...environment }
  const child = spawn(process.execPath, words, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
  const [out, errors, code] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  const [, passed, failed] = /^(\d+) passed, (\d+) failed, \d+ skipped$/m.exec(out) ?? []
  expect(errors, out).not.toMatch(/runtime error|AddressSanitizer/)
  expect({ code, failed }, out).toEqual({ code: 0, failed: '0' })
  expect(Number(passed)).toBeGreaterThan(100)
}

// Address and undefined-behaviour sanitizers, NaN in memory that becomes a tensor, and a sentinel behind every planned
// tensor, checked after every stage: what reads too early or writes too far fails here.
test('every layer, and the decoding of images, runs clean in the debug build', () =>
  expectPass(['scripts/debug.mjs', ...vitest, ...layers, ...networks, ...images], {}))

// Blocks of 8 channels instead of 16. Where there is no AVX-512, `npm test` has run the same.
test.skipIf(native().buildInfo().isa === 'avx2')('every layer runs on a processor without AVX-512', () =>
  expectPass([...vitest, ...layers], { ONEDNN_MAX_CPU_ISA: 'AVX2' }),
)
