import type { WeightFile } from '../containers/weight-file.js'
import { caffePixels, type Source, type WantedTensor } from './source.js'

/** Its names of our fully connected layers. */
const linear = ['fc1', 'fc2', 'predictions']

/** Its name of a layer of ours: 'conv1_1' is 'block1_conv1'. */
const nameOf = ({ kind, layer, index }: WantedTensor): string =>
  (kind === 'convolution' ? layer.replace(/^conv(\d+)_/, 'block$1_conv') : linear[index]) ?? layer

/** Name of the layer with an index among those of a class, from 0, as Keras 3 counts them: 'conv2d', 'conv2d_1', ... */
export const countedName = (name: string, index: number): string => (index === 0 ? name : `${name}_${index}`)

/** Folders of the layers that are counted: those of Keras 3, of tf.keras 2.12, and of a classifier of KerasHub. */
const countedFolders = ['layers', '_layer_checkpoint_dependencies', 'layers/vgg_backbone/layers']

/** KerasHub's nets have the same names of tensors, but other weights. */
function refusal({ metadata }: Pick<WeightFile, 'metadata'>): string | undefined {
  if (!/^vgg_(backbone|image_classifier)/.test(metadata.name ?? '')) return undefined
  return "of KerasHub, whose weights are timm's and expect other pixels: load hf://timm/vgg16.tv_in1k instead"
}

/**
 * VGG16 and VGG19 of keras.applications. Keras 2 and the whole models (.h5) of Keras 3 name a weight by its layer, Keras 3
 * (.weights.h5) by the class of its layer and a number.
 * https://github.com/keras-team/keras/blob/master/keras/src/applications/vgg16.py
 */
export const keras: Source = {
  name: 'keras',
  title: "keras.applications' VGG",
  containers: ['hdf5'],
  licence: 'CC-BY-4.0',
  pixels: { ...caffePixels, order: 'BGR' },
  classNames: 'imagenet',
  names(wanted) {
    const name = nameOf(wanted)
    const [word, letter, number] = wanted.part === 'weight' ? ['kernel', 'W', 0] : ['bias', 'b', 1]
    const counted = countedName(wanted.kind === 'convolution' ? 'conv2d' : 'dense', wanted.index)
    return [
      ...['', 'model_weights/'].flatMap((folder) =>
        [`${name}/${word}:0`, `${name}/${word}`, `${name}_${letter}_1:0`].map((end) => `${folder}${name}/${end}`),
      ),
      ...countedFolders.map((folder) => `${folder}/${counted}/vars/${number}`),
    ]
  },
  convolution: 'hwio',
  linear: 'io',
  flattened: 'hwc',
  ignored: /^optimizer(_weights)?\/|\/seed_generator\//,
  refusal,
}
