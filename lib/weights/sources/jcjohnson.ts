import { caffePixels, type Source } from './source.js'
import { torchvision } from './torchvision.js'

/** Indices of the linear layers in `classifier`, which begins with the layer that flattens the feature map. */
const classifier = [1, 4, 6]

/** The authors' release as PyTorch files, as used for neural style: BGR. https://github.com/jcjohnson/pytorch-vgg */
export const jcjohnson: Source = {
  ...torchvision,
  name: 'jcjohnson',
  title: "jcjohnson's VGG (the authors' weights for PyTorch)",
  licence: 'CC-BY-4.0',
  pixels: { ...caffePixels, order: 'BGR' },
  names: (wanted) =>
    wanted.kind === 'linear' ? [`classifier.${classifier[wanted.index]}.${wanted.part}`] : torchvision.names(wanted),
}
