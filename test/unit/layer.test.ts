import { describe, expect, it } from 'vitest'
import { checkedLayers, endsOf, type Layer, layersWithParameters, tensorNames } from '../../lib/layer.js'

const input = { kind: 'input', channels: 1, mean: [0], scale: [1] } as const
const convolution = { kind: 'convolution', name: 'conv1_1', outputs: 2, kernel: 3, relu: 'relu1_1' } as const
const linear = { kind: 'linear', name: 'fc8', outputs: 4, window: [2, 2] } as const
const layers: Layer[] = [input, convolution, { kind: 'max-pool', name: 'pool1' }, linear]

describe('a description', () => {
  it('is taken as it is, frozen', () => {
    const checked = checkedLayers(layers, 'layers')
    expect(checked).toEqual(layers)
    expect(Object.isFrozen(checked) && checked.every(Object.isFrozen)).toBe(true)
    expect(tensorNames(checked)).toEqual(['conv1_1', 'relu1_1', 'pool1', 'fc8'])
    expect(layersWithParameters(checked)).toEqual(['conv1_1', 'fc8'])
    expect(endsOf(checked)).toEqual({ input, channels: 1, classes: 4 })
  })

  it.each<[unknown, RegExp]>([
    [undefined, /an array of layers for layers but received undefined/],
    [[], /a layer of kind 'input' for layers\[0\] but received undefined/],
    [[input], /at least one convolution or linear layer/],
    [[convolution, linear], /a layer of kind 'input' for layers\[0\]/],
    [[input, input, linear], /no second layer of kind 'input' for layers\[1\]/],
    [[input, 'conv', linear], /a layer for layers\[1\] but received 'conv'/],
    [[input, { kind: 'convolutoin' }], /for layers\[1\].kind but received 'convolutoin'; did you mean 'convolution'\?/],
    [[input, { ...convolution, kernel: 5 }, linear], /1 or 3 for kernel but received 5/],
    [[input, { ...convolution, outputs: 0 }, linear], /for outputs but received 0/],
    [[input, { ...convolution, stride: 2 }, linear], /for layers\[1\] \('convolution'\) but received 'stride'/],
    [[input, { ...linear, window: 7 }], /\[height, width\] for window/],
    [[input, { ...linear, window: [0, 1] }], /for window\[0\]/],
    [[input, { ...linear, dropout: 1 }], /for dropout/],
    [[input, linear, linear], /names that differ for layers but received 'fc8'/],
    [[input, { ...convolution, relu: 'conv1_1' }, linear], /names that differ for layers but received 'conv1_1'/],
    [[{ ...input, mean: [1, 2] }, linear], /1 numbers, one for each channel for layers\[0\].mean/],
    [[{ ...input, scale: [Number.NaN] }, linear], /a finite number for scale\[0\]/],
    [[input, { kind: 'local-norm', name: 'n', size: 4, k: 2, alpha: 1, beta: 1 }, linear], /an odd integer/],
    // a hole in the array
    [Object.assign([input], { 2: linear }), /a layer for layers\[1\] but received undefined/],
  ])('%# is refused: %j', (wrong, message) => {
    expect(() => checkedLayers(wrong, 'layers')).toThrow(message)
  })
})
