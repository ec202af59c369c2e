import { describe, expect, test } from 'vitest'
import { describe as describeNetwork } from '../../lib/network/describe.js'
import { fittingBatch, microBatchFor } from '../../lib/network/fitting-batch.js'
import { layersOf } from '../../lib/vgg/configuration.js'
import { type VariantLetter, variants } from '../../lib/vgg/variants.js'

// What a card has to hold, worked out by hand from Table 1; nothing here needs a card.
const bf16 = 2
const batch = 256
const images = 3 * 224 * 224 // uint8
const library = 64 * 2 ** 20 // scratch that cuDNN or cuBLASLt may ask for, whatever the batch

/** Channels and side of what each stage of D leaves for the backward pass: a pooled convolution only what was pooled. */
const kept = [
  [8, 224], // the image, its 3 channels padded to 8
  [64, 224],
  [64, 112],
  [128, 112],
  [128, 56],
  [256, 56],
  [256, 56],
  [256, 28],
  [512, 28],
  [512, 28],
  [512, 14],
  [512, 14],
  [512, 14],
  [512, 7],
] as const
const pooled = [
  [64, 112],
  [128, 56],
  [256, 28],
  [512, 14],
  [512, 7],
] as const
const elements = (maps: readonly (readonly [number, number])[]) =>
  maps.reduce((sum, [channels, side]) => sum + channels * side * side, 0)

const plan = (device: 'cpu' | 'cuda', variant: VariantLetter, training: boolean) =>
  describeNetwork({
    layers: layersOf({ variant, classes: 1000 }),
    shape: [batch, 3, 224, 224],
    training,
    device,
    ...(device === 'cuda' && { precision: 'bf16' as const }),
  })

test('training D at batch 256 takes the bytes of a hand calculation, within 2 %', () => {
  const full = 64 * 224 * 224 * bf16 // conv1_2 before its pool, or the gradient of it: the largest scratch there is
  const perImage = elements(kept) * bf16 + elements(pooled) + images + full
  const { arenaBytes, parameterBytes, optimizerBytes, parameterCount } = plan('cuda', 'D', true)
  expect(Math.abs(arenaBytes / (batch * perImage + library) - 1)).toBeLessThan(0.02)
  // float32 with a bfloat16 copy; gradients and velocity in float32
  expect(Math.abs(parameterBytes / (parameterCount * 6) - 1)).toBeLessThan(0.02)
  expect(Math.abs(optimizerBytes / (parameterCount * 8) - 1)).toBeLessThan(0.02)
})

test('inference of D at batch 256 holds conv1_1, conv1_2 before its pool, and pool1', () => {
  const perImage = elements([
    [64, 224],
    [64, 224],
    [64, 112],
  ])
  const bytes = batch * (perImage * bf16 + images) + library
  expect(Math.abs(plan('cuda', 'D', false).arenaBytes / bytes - 1)).toBeLessThan(0.02)
})

// 2^31 elements come to 668.7 images of 64 channels, 224x224
test.each(['bf16', 'tf32', 'float32'] as const)('no tensor of 2^31 elements is planned: %s', (precision) => {
  const layers = layersOf({ variant: 'D', classes: 1000 })
  const where = { layers, device: 'cuda', precision, training: true } as const
  const of = (count: number) => describeNetwork({ ...where, shape: [count, 3, 224, 224] })
  expect(of(256).largestBatch).toBe(668)
  expect(of(668).largestBatch).toBe(668)
  expect(() => of(669)).toThrow(/at most 668 images .* received 669: the output of 'conv1_1'/)
})

test('the largest batch has no tensor of 2^31 elements, whatever the memory', () => {
  const room = { layers: layersOf({ variant: 'D', classes: 1000 }), imageSize: [224, 224], available: 1e15 } as const
  expect(fittingBatch({ ...room, device: 'cuda' }).batch).toBe(668)
  expect(microBatchFor(1024, { ...room, device: 'cuda' })).toBe(512)
  expect(fittingBatch({ ...room, device: 'cpu' }).batch).toBe(65_536)
})

describe.each(Object.keys(variants) as VariantLetter[])('%s', (variant) => {
  test('has the stages that it has on the CPU', () => {
    const names = (device: 'cpu' | 'cuda') => plan(device, variant, true).stages.map(({ name, kind }) => [name, kind])
    expect(names('cuda')).toEqual(names('cpu'))
  })
})
