import { expect, test } from 'vitest'
import { native } from '../../lib/platform/native.js'
import type { NativeCrop } from '../../lib/platform/native-interface.js'
import { Random } from '../../lib/random.js'
import { type Rescaling, rescaled } from '../setup/rescaled.js'

interface Case extends Rescaling {
  readonly name: string
}

const cases: Case[] = [
  { name: 'as it is', source: [13, 17], box: [13, 17] },
  { name: 'somewhat smaller', source: [75, 100], box: [51, 68] },
  { name: 'much smaller', source: [131, 97], box: [9, 7] },
  { name: 'larger', source: [11, 14], box: [37, 47] },
  { name: 'one axis smaller, one larger', source: [90, 10], box: [31, 25] },
  { name: 'a single pixel', source: [1, 1], box: [5, 4] },
  { name: 'to a single pixel', source: [40, 301], box: [1, 1] },
  { name: 'more taps than the weights have steps', source: [2, 40_000], box: [1, 1] },
  { name: 'very narrow', source: [50, 2], box: [23, 1] },
]

const noise = (count: number) => {
  const random = new Random(5)
  // the ends of the range too: what is rounded wrongly there wraps around
  return Uint8Array.from({ length: count }, () => Math.max(0, Math.min(255, random.integer(360) - 50)))
}

type Call = NativeCrop & { pixels: Uint8Array }

async function made(call: Call): Promise<Uint8Array> {
  const { height, width, channels } = call.crop
  const into = new Uint8Array(height * width * channels)
  await native().rescale({ ...call, into })
  return into
}

function callOf({ source, box }: Case, channels: 1 | 3): Call {
  return {
    into: new Uint8Array(box[0] * box[1] * channels),
    pixels: noise(source[0] * source[1] * channels),
    source: { height: source[0], width: source[1] },
    box: { height: box[0], width: box[1], top: 0, left: 0 },
    crop: { height: box[0], width: box[1], channels },
  }
}

test.each(cases)('$name: equals the rounded result in real numbers', async (one) => {
  for (const channels of [1, 3] as const) {
    const call = callOf(one, channels)
    const exact = rescaled(call.pixels, one, channels)
    const got = await made(call)
    expect(got.length).toBe(exact.length)
    // half a level for rounding; weights are multiples of 1/16384
    const apart = got.reduce((most, value, position) => Math.max(most, Math.abs(value - (exact[position] ?? 999))), 0)
    expect(apart).toBeLessThan(one.source[1] > 10_000 ? 1 : 0.6)
  }
})

test('a uniform image keeps its colour, black and white included', async () => {
  for (const value of [0, 1, 128, 255]) {
    for (const one of cases) {
      const call = callOf(one, 3)
      call.pixels.fill(value)
      expect(new Set(await made(call))).toEqual(new Set([value]))
    }
  }
})

test.each(cases)('$name: a crop equals that part of the whole image, bit for bit', async (one) => {
  const random = new Random(9)
  for (const channels of [1, 3] as const) {
    const call = callOf(one, channels)
    const whole = await made(call)
    const [viewHeight, viewWidth] = one.box
    for (let time = 0; time < 20; time++) {
      const height = 1 + random.integer(viewHeight)
      const width = 1 + random.integer(viewWidth)
      const top = random.integer(viewHeight - height + 1)
      const left = random.integer(viewWidth - width + 1)
      const crop = await made({
        ...call,
        box: { ...call.box, top, left },
        crop: { height, width, channels },
      })
      const window = Buffer.concat(
        Array.from({ length: height }, (_, row) => {
          const start = ((top + row) * viewWidth + left) * channels
          return whole.subarray(start, start + width * channels)
        }),
      )
      expect(Buffer.compare(crop, window), `${height}x${width} at ${top}, ${left}`).toBe(0)
    }
  }
})

test('inconsistent sizes are rejected before anything is computed', () => {
  const call = callOf({ name: '', source: [8, 9], box: [4, 5] }, 3)
  const refused = (change: object, code: string) => {
    expect(() => native().rescale({ ...call, ...change })).toThrow(expect.objectContaining({ code }))
  }
  refused({ pixels: call.pixels.subarray(1) }, 'SHAPE_MISMATCH')
  refused({ box: { ...call.box, top: 1 } }, 'SHAPE_MISMATCH')
  refused({ crop: { ...call.crop, width: 6 } }, 'SHAPE_MISMATCH')
  refused({ crop: { ...call.crop, channels: 2 } }, 'INVALID_ARGUMENT')
  refused({ source: { height: 0, width: 9 } }, 'INVALID_ARGUMENT')
  refused({ box: { ...call.box, left: -1 } }, 'INVALID_ARGUMENT')
  refused({ box: { ...call.box, height: 2 ** 40 } }, 'INVALID_ARGUMENT')
  refused({ pixels: [1, 2] }, 'INVALID_ARGUMENT')
  refused({ into: call.into.subarray(1) }, 'SHAPE_MISMATCH')
})

test('if the memory of the array was transferred, nothing is written and the call rejects', async () => {
  const call = callOf({ name: '', source: [300, 400], box: [200, 300] }, 3)
  const work = native().rescale(call)
  structuredClone(call.into, { transfer: [call.into.buffer as ArrayBuffer] })
  await expect(work).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
})
