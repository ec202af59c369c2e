import { describe, expect, test } from 'vitest'
import { type LayerShape, layerWorks, leastSeconds, leastSecondsOf, updateWork } from '../../bench/roofline.js'

// Configurations of the paper at 224x224 as `describe` returns them; no binary is needed here.
function vgg(depths: readonly number[], batch: number): LayerShape[] {
  const layers: LayerShape[] = []
  let [channels, side] = [3, 224]
  const add = (name: string, kind: string, outputs: number, height: number, weights: number) => {
    const output = [batch, outputs, height, height]
    const multiplyAdds = weights * batch * (kind === 'linear' ? 1 : height * height)
    const parameters = weights === 0 ? 0 : weights + outputs
    layers.push({ name, kind, input: [batch, channels, side, side], output, multiplyAdds, parameters })
    ;[channels, side] = [outputs, height]
  }
  add('input', 'input', 3, 224, 0)
  for (const [block, depth] of depths.entries()) {
    const outputs = [64, 128, 256, 512, 512][block]!
    for (let position = 1; position <= depth; position++) {
      add(`conv${block + 1}_${position}`, 'convolution', outputs, side, 9 * channels * outputs)
    }
    add(`pool${block + 1}`, 'max-pool', channels, side / 2, 0)
  }
  for (const [name, outputs] of [
    ['fc6', 4096],
    ['fc7', 4096],
    ['fc8', 1000],
  ] as const) {
    add(name, 'linear', outputs, 1, outputs * channels * side * side)
  }
  return layers
}

const D = [2, 2, 3, 3, 3]
const A = [1, 1, 2, 2, 2]
const h200 = { flopsPerSecond: 788e12, bytesPerSecond: 4.3e12 }
const h100 = { flopsPerSecond: 798e12, bytesPerSecond: 3.0e12 }

// Worked out by hand from the layers' shapes, and by another program.
test.each([
  { card: 'H200', ceilings: h200, net: 'D', batch: 256, mode: 'training', ms: 33.4 },
  { card: 'H200', ceilings: h200, net: 'D', batch: 64, mode: 'training', ms: 9.0 },
  { card: 'H200', ceilings: h200, net: 'D', batch: 256, mode: 'inference', ms: 11.3 },
  { card: 'H200', ceilings: h200, net: 'D', batch: 1, mode: 'inference', ms: 0.1 },
  { card: 'H100', ceilings: h100, net: 'D', batch: 256, mode: 'training', ms: 35.0 },
  { card: 'H100', ceilings: h100, net: 'D', batch: 256, mode: 'inference', ms: 11.8 },
  { card: 'H100', ceilings: h100, net: 'A', batch: 256, mode: 'training', ms: 19.4 },
  { card: 'H100', ceilings: h100, net: 'A', batch: 256, mode: 'inference', ms: 6.7 },
] as const)('$mode of $net at batch $batch on $card takes at least $ms ms', ({ ceilings, net, batch, mode, ms }) => {
  const layers = vgg(net === 'D' ? D : A, batch)
  const found = 1e3 * leastSecondsOf(layers, 'bf16', mode, ceilings)
  expect(Math.abs(found - ms) / ms).toBeLessThan(0.03)
})

test('the operations of D are those of the paper', () => {
  const forward = layerWorks(vgg(D, 1), 'bf16', 'training').flatMap((layer) => layer.forward)
  expect(forward.reduce((sum, work) => sum + work.flops, 0) / 1e9).toBeCloseTo(30.94, 1)
})

describe('the passes of a layer', () => {
  const conv = (name: string, channels: number): LayerShape => ({
    name,
    kind: 'convolution',
    input: [2, channels, 4, 4],
    output: [2, 8, 4, 4],
    multiplyAdds: 2 * 16 * 9 * channels * 8,
    parameters: 9 * channels * 8 + 8,
  })

  test('the first layer with weights has no input gradient; its channels are stored padded to 8', () => {
    const [first, second] = layerWorks([conv('conv1', 3), conv('conv2', 8)], 'bf16', 'training')
    expect(first!.backward).toHaveLength(1)
    expect(second!.backward).toHaveLength(2)
    expect(first!.forward[0]!.bytes).toBe(2 * (2 * 8 * 16) * 2 + 2 * (9 * 3 * 8 + 8))
  })

  test('float32 moves twice the bytes of bf16, and has no copy of the parameters to write', () => {
    const bytes = (stored: 'bf16' | 'float32') =>
      layerWorks([conv('conv', 8)], stored, 'training')[0]!.forward[0]!.bytes
    expect(bytes('float32')).toBe(2 * bytes('bf16'))
    expect(updateWork([conv('conv', 8)], 'bf16').bytes).toBe(22 * 584)
    expect(updateWork([conv('conv', 8)], 'float32').bytes).toBe(20 * 584)
  })

  test('a pass takes the longer of its arithmetic and its bytes', () => {
    const ceilings = { flopsPerSecond: 10, bytesPerSecond: 1 }
    const works = [
      { flops: 100, bytes: 1 },
      { flops: 1, bytes: 5 },
    ]
    expect(leastSeconds(works, ceilings)).toBe(15)
  })
})
