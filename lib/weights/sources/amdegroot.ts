import type { Source } from './source.js'
import { torchvision } from './torchvision.js'

/** The last bias of torchvision's `classifier`, and the first layer after the convolutions of SSD's trunk. */
const [lastBias, dilated] = ['classifier.6.bias', '31.weight']

/**
 * The convolutions of SSD's VGG-16, on the authors' pixels but in the order RGB: torchvision's
 * `vgg16_features-amdegroot-88682ab5.pth`, whose other tensors are filled with NaN, and `vgg16_reducedfc.pth`.
 * https://github.com/amdegroot/ssd.pytorch
 */
export const amdegroot: Source = {
  ...torchvision,
  name: 'amdegroot',
  title: "amdegroot's VGG-16 (features)",
  licence: undefined,
  classNames: undefined,
  pixels: { meanRgb: [0.48235 * 255, 0.45882 * 255, 0.40784 * 255], scale: [1, 1, 1], order: 'RGB', smallestSide: 256 },
  async isOf({ tensors, first }) {
    if (tensors.some(({ name, shape }) => name === dilated && shape[2] === 3)) return true
    const bias = tensors.find(({ name }) => name === lastBias)
    return bias !== undefined && first !== undefined && Number.isNaN(await first(bias))
  },
  refusal: ({ tensors }, head) => {
    if (head === 'none') return undefined
    const isDilated = tensors.some(({ name }) => name === dilated)
    const why = isDilated
      ? `its fc6 and fc7 are dilated convolutions (${dilated})`
      : 'its classifier is filled with NaN'
    return `${why}; head: 'none' loads its convolutions`
  },
}
