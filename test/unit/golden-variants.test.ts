import { expect, test } from 'vitest'
import { type Layer, parameterCount, parametersOf } from '../../lib/layer.js'
import { layersOf } from '../../lib/vgg/configuration.js'
import { readGolden, readVariants } from '../reference/golden.js'

/** Weights and biases with 1000 classes, from the paper's Table 1. */
const counts: Record<string, readonly [convolutions: number, total: number]> = {
  A: [9_220_480, 132_863_336],
  'A-LRN': [9_220_480, 132_863_336],
  B: [9_404_992, 133_047_848],
  C: [9_996_096, 133_638_952],
  D: [14_714_688, 138_357_544],
  E: [20_024_384, 143_667_240],
}

/** The goldens were made without dropout. */
const withoutDropout = (layers: readonly Layer[]): Layer[] =>
  layers.map((layer) => {
    if (layer.kind !== 'linear') return layer
    const { dropout: _, ...rest } = layer
    return rest
  })

test.each(readVariants())('configuration $variant at full size has the layers and parameters of Table 1', (row) => {
  const { variant } = row
  const [{ scale }] = row.layers as [Extract<Layer, { kind: 'input' }>]
  const layers = layersOf({ variant, classes: 1000, scale })
  expect(withoutDropout(layers)).toEqual(row.layers)
  const convolutions = parametersOf(layers).filter(({ name }) => name.startsWith('conv'))
  const convolutionCount = convolutions.reduce((sum, { count }) => sum + count, 0)
  expect([convolutionCount, parameterCount(layers)]).toEqual(counts[variant])
  expect([row.convolutionParameters, row.parameters]).toEqual(counts[variant])
})

const goldens = ['small-A', 'small-A-LRN', 'small-B', 'small-C', 'small-D', 'small-E', 'full-A', 'full-D', 'article']

test.each(goldens)('the golden %s is of the network that its options describe', (name) => {
  const { variant, classes, imageSize, headWidth, width, layers } = readGolden(name).case
  const [{ scale }] = layers as [Extract<Layer, { kind: 'input' }>]
  expect(withoutDropout(layersOf({ variant, classes, imageSize, headWidth, width, scale }))).toEqual(layers)
})
