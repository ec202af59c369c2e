import { afterAll, describe, test } from 'vitest'
import { VggError } from '../lib/error.js'
import { Network } from '../lib/network/network.js'

export type TestDevice = 'cpu' | 'cuda'

/** Every device there may be; a case that cannot run on one of them is counted and said. */
const devices: readonly TestDevice[] = ['cpu', 'cuda']

/** The devices of this machine. The cpu is never absent: where it fails, the cases fail. */
export const devicesPresent: ReadonlySet<TestDevice> = new Set<TestDevice>(
  (await hasCuda()) ? ['cpu', 'cuda'] : ['cpu'],
)

async function hasCuda(): Promise<boolean> {
  const layers = [
    { kind: 'input', channels: 1, mean: [0], scale: [1] },
    { kind: 'convolution', name: 'conv', outputs: 1, kernel: 1 },
  ] as const
  try {
    const network = await Network.create({ layers, device: 'cuda' })
    network.dispose()
    return true
  } catch (error) {
    // no library at all is for the cases on the cpu to report
    const codes = ['DEVICE_UNAVAILABLE', 'NATIVE_LOAD_FAILED', 'UNSUPPORTED_PLATFORM']
    if (error instanceof VggError && codes.includes(error.code)) return false
    throw error
  }
}

const skipped = new Map<TestDevice, number>()

/** Defines one test per case and device; a missing device skips its tests and says how many: `cuda: 148 cases skipped`. */
export function onEachDevice<Case extends { readonly name: string }>(
  title: string,
  cases: readonly Case[],
  body: (device: TestDevice, testCase: Case) => Promise<void>,
): void {
  describe(title, () => {
    for (const device of devices)
      for (const testCase of cases) {
        const name = `${testCase.name} (${device})`
        if (devicesPresent.has(device)) {
          test(name, () => body(device, testCase))
        } else {
          skipped.set(device, (skipped.get(device) ?? 0) + 1)
          test.skip(name)
        }
      }
  })
}

afterAll(() => {
  for (const [device, count] of skipped) console.log(`${device}: ${count} cases skipped, no device`)
})
