import { sequentialIndex } from './sequential.js'
import type { Source } from './source.js'
import { torchvision } from './torchvision.js'

/** Index of the first 3x3 convolution: after one of 1x1 and a layer that pads. */
const first = 2

/**
 * The VGG-19 of AdaIN and universal style transfer, `vgg_normalised.pth`, which is recognised and refused.
 * https://github.com/naoto0804/pytorch-AdaIN
 */
export const adain: Source = {
  ...torchvision,
  name: 'adain',
  title: "AdaIN's VGG-19",
  isRefused: true,
  names: (wanted) => (wanted.kind === 'linear' ? [] : [`${first + sequentialIndex(wanted, 3)}.${wanted.part}`]),
  refusal: () =>
    'it pads by reflection, where networks here pad with zeros, and a 1x1 convolution stands before the first: ' +
    "use torchvision's vgg19-dcbb9e9d.pth",
}
