import { caffePixels, type Source } from './source.js'

/**
 * The convolutions of VGG-19 for neural style, `vgg_conv.pth`: layers by the names of the paper, BGR.
 * https://github.com/leongatys/PytorchNeuralStyleTransfer
 */
export const gatys: Source = {
  name: 'gatys',
  title: "Gatys' VGG",
  // a safetensors file of these names is one of ours without its metadata
  containers: ['torch'],
  pixels: { ...caffePixels, order: 'BGR' },
  names: ({ layer, part, kind }) => (kind === 'convolution' ? [`${layer}.${part}`] : []),
  convolution: 'oihw',
  linear: 'oi',
  flattened: 'chw',
}
