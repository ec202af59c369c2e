import { expect, test } from 'vitest'
import { describe as describePlan } from '../../lib/network/describe.js'
import type { Description } from '../../lib/platform/native-description.js'
import { layersOf } from '../../lib/vgg/configuration.js'

const plan = (variant: 'A' | 'D', batch: number, training: boolean, keep: string[] = []): Description =>
  describePlan({ layers: layersOf({ variant, classes: 1000 }), shape: [batch, 3, 224, 224], training, keep })

const bytesOf = (description: Description, name: string): number =>
  description.tensors.find((tensor) => tensor.name === name)?.bytes ?? Number.NaN

/** A debug build has a guard of 64 bytes after each tensor. */
function expectNear(actual: number, bytes: number): void {
  expect(actual).toBeGreaterThanOrEqual(bytes)
  expect(actual).toBeLessThanOrEqual(bytes + 64)
}

test.each([
  ['training', true, []],
  ['evaluation', false, []],
  ['training with taps', true, ['conv1_2', 'relu3_1', 'fc7']],
] as const)('no two tensors that live at the same time share a byte: D, %s', (_, training, keep) => {
  const { tensors, arenaBytes } = plan('D', 3, training, [...keep])
  for (const [index, a] of tensors.entries()) {
    expect(a.offset % 64, a.name).toBe(0)
    expect(a.offset + a.bytes, a.name).toBeLessThanOrEqual(arenaBytes)
    for (const b of tensors.slice(index + 1)) {
      const sameTime = a.firstUse <= b.lastUse && b.firstUse <= a.lastUse
      const sameBytes = a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes
      expect(sameTime && sameBytes, `${a.name} and ${b.name}`).toBe(false)
    }
  }
})

test('evaluation keeps two neighbouring activations and no more, whatever the depth', () => {
  const { arenaBytes, tensors, workspaceBytes } = plan('D', 4, false)
  // The largest pair: conv1_1's output and what conv1_2 and pool1 make of it.
  const image = 224 * 224 * 4
  const pair = 4 * (64 * image + (64 * image) / 4)
  const fed = 4 * 3 * 224 * 224
  expect(arenaBytes).toBeLessThan((pair + workspaceBytes + fed) * 1.02)
  expect(arenaBytes).toBeGreaterThanOrEqual(pair + fed)
  expect(tensors.some((tensor) => tensor.name.startsWith('gradient'))).toBe(false)
})

test('of a pooled layer training stores the pooled output and an index of one byte', () => {
  const description = plan('D', 2, true)
  expectNear(bytesOf(description, 'pool1'), 2 * 64 * 112 * 112 * 4)
  expectNear(bytesOf(description, 'conv1_2+pool1 index'), 2 * 64 * 112 * 112)
  expect(description.tensors.some((tensor) => tensor.name === 'relu1_2')).toBe(false)
})

test('a tap separates only the stage that hides it, and is kept to the end', () => {
  const names = plan('D', 1, true, ['conv1_2', 'relu2_2']).stages.map((stage) => stage.name)
  expect(names.slice(0, 8)).toEqual(['input', 'conv1_1', 'conv1_2', 'relu1_2', 'pool1', 'conv2_1', 'conv2_2', 'pool2'])
  const { tensors, stages } = plan('D', 1, true, ['conv1_2'])
  expect(tensors.find((tensor) => tensor.name === 'conv1_2')?.lastUse).toBe(2 * stages.length)
})

const aliveAt = (description: Description, event: number): number =>
  description.tensors
    .filter((tensor) => tensor.firstUse <= event && event <= tensor.lastUse && tensor.name !== 'workspace')
    .reduce((sum, tensor) => sum + tensor.bytes, 0)

test('the memory of training D at batch 32 after forward agrees with a calculation by hand', () => {
  const description = plan('D', 32, true)
  // rectified outputs that backward reads again, pooled outputs with their index, the head; elements of one image
  const rectified = 64 * 224 ** 2 + 128 * 112 ** 2 + 2 * 256 * 56 ** 2 + 2 * 512 * 28 ** 2 + 2 * 512 * 14 ** 2
  const pooled = 64 * 112 ** 2 + 128 * 56 ** 2 + 256 * 28 ** 2 + 512 * 14 ** 2 + 512 * 7 ** 2
  const images = 3 * 224 ** 2 // raw bytes, and as floats
  const expected = 32 * (4 * rectified + 5 * pooled + 4 * (4096 + 4096 + 1000) + 5 * images)
  const held = aliveAt(description, description.stages.length - 1)
  expect(held / expected).toBeGreaterThan(0.98)
  expect(held / expected).toBeLessThan(1.02)
})

test.each([1, 2, 5, 32])('the arena is hardly larger than the largest sum of live tensors: batch %i', (batch) => {
  const description = plan('D', batch, true)
  const events = Array.from({ length: 2 * description.stages.length + 1 }, (_, event) => event)
  const fullest = Math.max(...events.map((event) => aliveAt(description, event))) + description.workspaceBytes
  expect(description.arenaBytes / fullest).toBeGreaterThanOrEqual(1)
  expect(description.arenaBytes / fullest).toBeLessThan(1.05)
  expect(description.parameterCount).toBe(138_357_544)
  expect(description.optimizerBytes).toBe(2 * description.parameterBytes)
  expect(description.totalBytes).toBe(description.parameterBytes + description.optimizerBytes + description.arenaBytes)
})

test('operations are those of the paper', () => {
  expect(plan('A', 1, false).multiplyAdds / 1e9).toBeCloseTo(7.609, 3)
  expect(plan('D', 2, false).multiplyAdds / 2e9).toBeCloseTo(15.47, 2)
})

test('an unknown tap is refused', () => {
  expect(() => plan('D', 1, false, ['relu9_9'])).toThrow(/relu9_9/)
})
