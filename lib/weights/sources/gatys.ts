import { caffePixels, type Source } from './source.js'

/**
 * The convolutions of VGG-19 for neural style, `vgg_conv.pth`: layers by the names of the paper, BGR.
 * https://github.com/leongatys/PytorchNeuralStyleTransfer
 */
export const gatys: Source = {
  name: 'gatys',
  title: "Gatys' VGG",
  containers: ['torch', 'safetensors'],
  pixels: { ...caffePixels, order: 'BGR' },
  names: ({ layer, part }) => [`${layer}.${part}`],
  convolution: 'oihw',
  linear: 'oi',
  flattened: 'chw',
}
