// The tests of layers and networks again, on a stand-in for a card: the product's CUDA backend, compiled for the
// host, over stand-ins for the CUDA runtime, cuDNN and cuBLASLt. What that proves and what not: stand-in/run.mjs.
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
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

/** Runs these files: at least so many tests pass on each kind of device, and none is left out for want of one. */
async function expectPass(files: readonly string[], least: number, environment: Readonly<Record<string, string>>) {
  const cache = mkdtempSync(path.join(tmpdir(), 'vggnet-stand-in-'))
  try {
    // one thread for the kernels of each stream: there are as many files of tests at once as processors
    const settings = { VGGNET_CUDA_PLANS: '1', OMP_NUM_THREADS: '1', VGGNET_CACHE: cache, ...environment }
    const { out, errors, code } = await ended(process.execPath, [...vitest, '--reporter=verbose', ...files], settings)
    expect(errors, out).not.toMatch(/runtime error|AddressSanitizer/)
    expect(code, out).toBe(0)
    const passedOn = (device: string) =>
      out.split('\n').filter((line) => /✓/.test(line) && line.includes(`(${device})`))
    for (const device of ['cuda', 'cuda-bf16']) expect(passedOn(device).length, out).toBeGreaterThanOrEqual(least)
    expect(out).not.toMatch(/no device/)
  } finally {
    rmSync(cache, { recursive: true })
  }
}

const minutes = { timeout: 1_200_000 }

test('the stand-in card multiplies and convolves rightly', minutes, async () => {
  const environment: Record<string, string> = { ...(await buildStandIn(root, 'release')), VGGNET_CUDA_PLANS: '2' }
  const folder = path.dirname(environment.VGGNET_CUDA_BINARY ?? '')
  const { out, code } = await ended(path.join(folder, 'check_sums'), [], environment)
  expect({ out, code }).toEqual({ out: 'right\n', code: 0 })
})

const delayed = ['device/training', 'network/calls', 'network/queue', 'network/resume', 'network/smaller-batch'].map(
  (name) => `test/${name}.test.ts`,
)

test('layers and networks on a stand-in for a card', minutes, async () => {
  const files = [...onDevices('test/device/'), ...onDevices('test/network/')].filter((file) => !delayed.includes(file))
  await expectPass(files, 100, await buildStandIn(root, 'release'))
})

// The streams are delayed at random: what does not wait for another stream, or for the card, comes too early.
test('calls and training, with delays', minutes, async () =>
  expectPass(delayed, 20, { ...(await buildStandIn(root, 'release')), VGGNET_STAND_IN_SEED: '1' }),
)

// Sanitizers in kernels and stages, NaN in memory that becomes a tensor, and a sentinel after every tensor.
test('layers on a stand-in for a card in the debug build', minutes, async () =>
  expectPass([...onDevices('test/device/'), 'test/network/calls.test.ts'], 100, await buildStandIn(root, 'debug')),
)
