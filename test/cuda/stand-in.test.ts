// The tests of layers and networks again, on a stand-in for a card: the product's CUDA backend, compiled for the
// host, over stand-ins for the card, cuDNN and cuBLASLt. What that proves and what not: stand-in/run.mjs.
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { root } from '../setup/command.js'
import { testFiles } from '../setup/suites.js'
import { buildStandIn } from './stand-in/build.mjs'

// Not what is on the CPU: `npm test` runs that.
const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--no-color', '--testNamePattern=\\(cuda']

// In the other files no test matches the pattern, and loading them takes seconds.
const onDevices = (folder: string): string[] =>
  testFiles.filter((file) => {
    if (!file.startsWith(folder)) return false
    return readFileSync(path.join(root, file), 'utf8').includes("from '../devices.js'")
  })

async function ended(program: string, words: readonly string[], environment: Readonly<Record<string, string>>) {
  const usual = Object.entries(process.env).filter(([name]) => !name.startsWith('VITEST'))
  const env = { ...Object.fromEntries(usual), ...environment }
  const child = spawn(program, words, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const closed = new Promise<number | null>((resolve) => child.on('close', resolve))
  const [out, errors, code] = await Promise.all([text(child.stdout), text(child.stderr), closed])
  return { out, errors, code }
}

async function expectPass(files: readonly string[], environment: Readonly<Record<string, string>>): Promise<void> {
  const { out, errors, code } = await ended(process.execPath, [...vitest, '--reporter=verbose', ...files], environment)
  expect(errors, out).not.toMatch(/runtime error|AddressSanitizer/)
  expect(code, out).toBe(0)
  const passedOn = (device: string) => out.split('\n').filter((line) => /✓/.test(line) && line.includes(`(${device})`))
  for (const device of ['cuda', 'cuda-bf16']) expect(passedOn(device).length, out).toBeGreaterThan(100)
  expect(out).not.toMatch(/no device/)
}

test('the stand-in card multiplies and convolves rightly', async () => {
  const environment = { ...(await buildStandIn(root, 'release')), VGGNET_CUDA_PLANS: '2' }
  const folder = path.dirname(environment.VGGNET_CUDA_BINARY ?? '')
  const { out, code } = await ended(path.join(folder, 'check_sums'), [], environment)
  expect({ out, code }).toEqual({ out: 'right\n', code: 0 })
})

test('layers and networks on a stand-in for a card', { timeout: 1_200_000 }, async () =>
  expectPass([...onDevices('test/device/'), ...onDevices('test/network/')], await buildStandIn(root, 'release')),
)

// Sanitizers in kernels and stages, NaN in memory that becomes a tensor, and a sentinel after every tensor.
test('layers on a stand-in for a card in the debug build', { timeout: 1_200_000 }, async () =>
  expectPass([...onDevices('test/device/'), 'test/network/calls.test.ts'], await buildStandIn(root, 'debug')),
)
