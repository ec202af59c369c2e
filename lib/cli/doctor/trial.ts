import { messageOf } from '../../error.js'
import { Network } from '../../network/network.js'
import type { Device } from '../../network/open.js'
import { Tensor } from '../../tensor.js'

/** A device as it is described, before it has to do anything. */
export interface Candidate {
  device: string
  /** 'AMD EPYC', 'NVIDIA H200'; empty for a card that is not there */
  name: string
  /** 'avx512_core', 'sm_90' */
  architecture: string
  bytes: number
  freeBytes: number
}

/** A device, and whether a tiny multiplication on it came out right. */
export interface Trial extends Candidate {
  precision: string
  works: boolean
  /** Why not, in one sentence; empty where it works. */
  obstacle: string
}

const layers = [
  { kind: 'input', channels: 1, mean: [0], scale: [1] },
  { kind: 'convolution', name: 'conv', outputs: 2, kernel: 1 },
] as const

/** 16 pixels x give 2x + 1 and 4 - 3x, whole numbers that every precision holds. */
async function obstacleOf(net: Network): Promise<string> {
  const pixels = Float32Array.from({ length: 16 }, (_, index) => index)
  await net.setParameter('conv.weight', Tensor.from(Float32Array.of(2, -3), [2, 1, 1, 1]))
  await net.setParameter('conv.bias', Tensor.from(Float32Array.of(1, 4), [2]))
  const output = await net.forward(Tensor.from(pixels, [1, 1, 4, 4]))
  const expected = [...pixels.map((x) => 2 * x + 1), ...pixels.map((x) => 4 - 3 * x)]
  const received = await output.data()
  const wrong = expected.findIndex((value, index) => value !== received[index])
  return wrong === -1 ? '' : `a multiplication gives ${received[wrong]} instead of ${expected[wrong]}`
}

/** Lets a device multiply. */
export async function tried(candidate: Candidate): Promise<Trial> {
  try {
    const device = candidate.device as Device
    const net = await Network.create({ layers, device, initialisation: 'none' })
    try {
      const obstacle = await obstacleOf(net)
      return { ...candidate, precision: net.precision, works: obstacle === '', obstacle }
    } finally {
      net.dispose()
    }
  } catch (error) {
    return {
      ...candidate,
      precision: '',
      works: false,
      obstacle: messageOf(error),
    }
  }
}
