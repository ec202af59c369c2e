// The product's device, uploads and error paths on the stand-in's CUDA runtime, which delays and fails when asked to.
import { execFile } from 'node:child_process'
import path from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, test } from 'vitest'
import { root, start } from '../setup/command.js'
import { newFolder } from '../setup/folder.js'
import { linesIn } from './choice.js'
import { buildStandIn } from './stand-in/build.mjs'

let standIn: Record<string, string> = {}

beforeAll(async () => {
  standIn = { ...(await buildStandIn(root, 'release')), VGGNET_CUDA_PLANS: '1' }
}, 1_200_000)

/** What each step of a scenario of check_device came to. */
async function steps(scenario: string, environment: NodeJS.ProcessEnv): Promise<string[]> {
  const program = path.join(path.dirname(standIn.VGGNET_CUDA_BINARY ?? ''), 'check_device')
  const { stdout } = await promisify(execFile)(program, [scenario], {
    env: { ...process.env, ...standIn, ...environment },
  })
  return stdout.trimEnd().split('\n')
}

/** What a script of stand-in/check prints. */
async function printed(script: string, environment: NodeJS.ProcessEnv) {
  const { stdout, stderr, code } = await start(`test/cuda/stand-in/check/${script}`, [], { ...standIn, ...environment })
    .ended
  expect(code, stderr).toBe(0)
  return JSON.parse(stdout)
}

const failures = (fails: string): Promise<string[]> => printed('failures.ts', { VGGNET_STAND_IN_FAIL: fails })

/** Fails a call at each of these counts. */
const at = (call: string, code: number, counts: number[]) => counts.map((n) => `${call}:${n}:${code}`).join()
const [outOfMemory, illegalAddress, unknown, invalidValue] = [2, 700, 999, 1]

describe('transfers on streams with delays', { timeout: 300_000 }, () => {
  for (const graphs of ['on', 'off']) {
    for (const seed of [0, 1, 2, 3]) {
      test(`graphs ${graphs}, seed ${seed}`, async () => {
        const settings = { VGGNET_CUDA_GRAPHS: graphs, VGGNET_STAND_IN_SEED: String(seed) }
        expect(await steps('transfers', settings)).toEqual(['right'])
      })
    }
  }
})

test("the host cannot touch the card's memory", async (context) => {
  const found = await steps('trespass', {}).catch((error) => error.signal)
  if (found[0] === 'no keys') context.skip("no protection keys: the stand-in card's memory is open to the host")
  expect(found).toBe('SIGSEGV')
})

describe('errors of the runtime', { timeout: 300_000 }, () => {
  test('a recording that is broken off leaves nothing behind', async () => {
    expect(await steps('aborted', {})).toEqual(['INTERNAL', 'right', 'right'])
  })

  for (const code of [illegalAddress, unknown]) {
    test(`after error ${code} of a kernel every call says that the card is lost`, async () => {
      const found = await steps('lost', { VGGNET_STAND_IN_FAIL: at('work', code, [3]) })
      expect(found).toEqual(['right', 'DEVICE_LOST', 'DEVICE_LOST', 'DEVICE_LOST'])
    })

    test(`error ${code}, seen first by cuDNN or cuBLASLt, is a lost card`, async () => {
      const lost = ['DEVICE_LOST', 'DEVICE_LOST']
      expect(await steps('convolution', { VGGNET_STAND_IN_FAIL: at('cudnnBackendExecute', code, [1]) })).toEqual(lost)
      const inTimedRun = { VGGNET_CUDA_PLANS: '2', VGGNET_STAND_IN_FAIL: at('cublasLtMatmul', code, [3]) }
      expect(await steps('product', inTimedRun)).toEqual(lost)
    })
  }

  test('each algorithm of a product is on record, with the bytes that it works in', async () => {
    const log = path.join(newFolder(), 'plans.jsonl')
    expect(await steps('product', { VGGNET_CUDA_LOG: log })).toEqual(['right', 'right'])
    const lines = linesIn(log)
    expect(lines.length).toBeGreaterThan(1)
    for (const line of lines) expect(line).toMatchObject({ kind: 'product', workspace: 65_536 })
  })

  test('another error of cuDNN or cuBLASLt loses nothing', async () => {
    const convolution = { VGGNET_STAND_IN_FAIL: at('cudnnBackendExecute', invalidValue, [1]) }
    expect(await steps('convolution', convolution)).toEqual(['INTERNAL', 'right'])
    const product = { VGGNET_STAND_IN_FAIL: at('cublasLtMatmul', invalidValue, [1]) }
    expect(await steps('product', product)).toEqual(['right', 'right'])
  })

  test('memory that runs out is said so, and the next network has it', async () => {
    const counts = Array.from({ length: 12 }, (_, i) => 2 + 5 * i)
    const fails = [at('cudaMalloc', outOfMemory, counts), at('cudaMallocHost', outOfMemory, counts)].join()
    const found = await failures(fails)
    expect(new Set(found)).toEqual(new Set(['OUT_OF_MEMORY', 'done']))
    expect(found.slice(-3)).toEqual(['done', 'done', 'done'])
  })

  test('a card that is lost in a step is lost for all networks of the process', async () => {
    expect(new Set(await failures(at('work', illegalAddress, [400])))).toEqual(new Set(['DEVICE_LOST']))
  })

  test('a card that cannot be used does not keep another from being used', async () => {
    const cards = [
      { device: 'cuda:0', hasMemory: true },
      { device: 'cuda:1', hasMemory: false },
    ]
    const found = await printed('cards.ts', { VGGNET_STAND_IN_CARDS: '2', VGGNET_STAND_IN_BAD: '1' })
    expect(found).toEqual({ device: 'cuda:0', cards })
  })
})
