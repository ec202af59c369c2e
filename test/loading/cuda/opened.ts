import { VggError } from '../../../lib/error.js'
import { Network } from '../../../lib/network/network.js'
import type { RunOptions } from '../../../lib/network/open.js'

export const layers = [
  { kind: 'input', channels: 1, mean: [0], scale: [1] },
  { kind: 'convolution', name: 'conv', outputs: 1, kernel: 1 },
] as const

/** Device and reason, or code and message: that of the backend, without advice. */
export type Outcome = [string, string]

export async function outcomeOf(open: () => Outcome | Promise<Outcome>): Promise<Outcome> {
  try {
    return await open()
  } catch (error) {
    if (!(error instanceof VggError)) return ['not a VggError', String(error)]
    return [error.code, error.cause instanceof VggError ? error.cause.message : error.message]
  }
}

/** What comes of making a network. */
export const opened = (options: RunOptions): Promise<Outcome> =>
  outcomeOf(async () => {
    const net = await Network.create({ layers, ...options })
    net.dispose()
    return [net.device, net.deviceReason ?? '']
  })
