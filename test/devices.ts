import { afterAll, describe, type RunnerTestSuite, type TestContext, test } from 'vitest'
import { VggError } from '../lib/error.js'
import { Network } from '../lib/network/network.js'
import { opening, type TestDevice } from './opening.js'

export { opening, precisionOf, repeatable, type TestDevice } from './opening.js'

/** Every device there may be; a case that cannot run on one of them is counted and said. */
export const everyDevice: readonly TestDevice[] = ['cpu', 'cuda', 'cuda-bf16']
/** Those that compute with as many digits as the reference is compared with. */
export const float32Devices: readonly TestDevice[] = ['cpu', 'cuda']
export const cards: readonly TestDevice[] = ['cuda', 'cuda-bf16']

/** The devices of this machine. The cpu is never absent: where it fails, the cases fail. */
export const devicesPresent: ReadonlySet<TestDevice> = new Set<TestDevice>(
  (await hasCuda()) ? ['cpu', 'cuda', 'cuda-tf32', 'cuda-bf16'] : ['cpu'],
)

async function hasCuda(): Promise<boolean> {
  const layers = [
    { kind: 'input', channels: 1, mean: [0], scale: [1] },
    { kind: 'convolution', name: 'conv', outputs: 1, kernel: 1 },
  ] as const
  try {
    const network = await Network.create({ layers, ...opening.cuda })
    network.dispose()
    return true
  } catch (error) {
    // where a card is stood in for, it has to be there; no library at all is for the cases on the cpu to report
    const codes = ['DEVICE_UNAVAILABLE', 'NATIVE_LOAD_FAILED', 'UNSUPPORTED_PLATFORM']
    if (!process.env.VGGNET_STAND_IN && error instanceof VggError && codes.includes(error.code)) return false
    throw error
  }
}

/** Where a card is stood in for (test/cuda/stand-in), what takes a card a moment may take minutes. */
export function skipOnStandIn(context: TestContext, reason: string): void {
  if (process.env.VGGNET_STAND_IN) context.skip(`the stand-in: ${reason}`)
}

/** Defines one test per case and device; a missing device skips its tests and says how many: `cuda: 148 cases skipped`. */
export function onEachDevice<Case extends { readonly name: string }>(
  title: string,
  cases: readonly Case[],
  body: (device: TestDevice, testCase: Case, context: TestContext) => Promise<void>,
  devices = everyDevice,
): void {
  for (const device of devices)
    describeOn(device, title, () => {
      for (const testCase of cases) test(testCase.name, (context) => body(device, testCase, context))
    })
}

/** The same for tests that are written out. */
export function describeOnEach(title: string, body: (device: TestDevice) => void, devices = everyDevice): void {
  for (const device of devices) describeOn(device, title, () => body(device))
}

const suites = new Map<string, TestDevice>()

function describeOn(device: TestDevice, title: string, body: () => void): void {
  const name = `${title} (${device})`
  suites.set(name, device)
  if (devicesPresent.has(device)) describe(name, body)
  else describe.skip(name, body)
}

const testsOf = (suite: RunnerTestSuite): number =>
  suite.tasks.reduce((sum, task) => sum + (task.type === 'suite' ? testsOf(task) : 1), 0)

// biome-ignore lint/correctness/noEmptyPattern: vitest wants to see a pattern there
afterAll(({}, file) => {
  const skipped = new Map<TestDevice, number>()
  for (const suite of file.tasks) {
    const device = suites.get(suite.name)
    if (device === undefined || devicesPresent.has(device) || suite.type !== 'suite') continue
    skipped.set(device, (skipped.get(device) ?? 0) + testsOf(suite))
  }
  for (const [device, count] of skipped) console.log(`${device}: ${count} cases skipped, no device`)
})
