import { sequentialIndex } from './sequential.js'
import type { Pixels, Source } from './source.js'

/** Pixels of torchvision and timm: 0 to 1, less the mean, divided by the deviation of ImageNet. */
export const imageNetPixels: Pixels = {
  meanRgb: [0.485 * 255, 0.456 * 255, 0.406 * 255],
  scale: [1 / (0.229 * 255), 1 / (0.224 * 255), 1 / (0.225 * 255)],
  order: 'RGB',
  smallestSide: 256,
}

/** Indices of the linear layers in torchvision's `classifier`: a ReLU and a dropout stand between two. */
const classifier = [0, 3, 6]

/** https://github.com/pytorch/vision/blob/main/torchvision/models/vgg.py */
export const torchvision: Source = {
  name: 'torchvision',
  title: "torchvision's VGG",
  containers: ['torch', 'safetensors'],
  licence: 'BSD-3-Clause',
  pixels: imageNetPixels,
  classNames: 'imagenet',
  names(wanted) {
    const { kind, index, part } = wanted
    if (kind === 'linear') return [`classifier.${classifier[index]}.${part}`]
    const name = `${sequentialIndex(wanted, 2)}.${part}`
    // the second where `features` was saved by itself
    return [`features.${name}`, name]
  },
  convolution: 'oihw',
  linear: 'oi',
  flattened: 'chw',
}
