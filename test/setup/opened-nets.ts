import { afterEach } from 'vitest'
import type { VggOptions } from '../../lib/vgg/options.js'
import type { VGG } from '../../lib/vgg/vgg.js'
import { repeatable, type TestDevice } from '../devices.js'
import { smallNet } from './stripes.js'

const nets: VGG[] = []

/** Frees a network when the test ends. */
export function kept(net: VGG): VGG {
  nets.push(net)
  return net
}

/** Opens small nets on a device, each with these options unless told otherwise; they are freed after each test. */
export function netsOpened(usual: Partial<VggOptions> = {}) {
  afterEach(() => {
    for (const net of nets.splice(0)) net.dispose()
  })
  return (device: TestDevice) =>
    async (options: Partial<VggOptions> = {}): Promise<VGG> =>
      kept(await smallNet({ ...repeatable(device), ...usual, ...options }))
}
