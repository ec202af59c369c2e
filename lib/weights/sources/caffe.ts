import type { ForeignLayer, WeightFile } from '../containers/weight-file.js'
import { caffePixels, type Source } from './source.js'

/** The options that layers of a VGG net have; the padding of a convolution follows from its kernel. */
const expected: Readonly<Record<string, ForeignLayer['options']>> = {
  Convolution: { stride: 1, dilation: 1, group: 1 },
  Pooling: { pool: 'MAX', kernel_size: 2, stride: 2, pad: 0, global_pooling: false },
  InnerProduct: { transpose: false },
}

/** Kinds of layers that compute nothing of their own in a trained network, or what ours do: data, dropout, losses. */
const known =
  /^(Convolution|Pooling|InnerProduct|ReLU|Dropout|Input|\w*Data|Split|Flatten|Silence|Softmax(WithLoss)?|Accuracy)$/

/** Reason to refuse a network of Caffe that is none of ours although its parameters have the same names. */
function refusal({ layers: all }: Pick<WeightFile, 'layers'>, head: 'none' | undefined): string | undefined {
  const first = all.findIndex(({ name }) => /^fc/.test(name))
  const layers = head === 'none' && first >= 0 ? all.slice(0, first) : all
  for (const { name, kind, options } of layers) {
    if (!known.test(kind)) return `its layer ${name} is of the kind ${kind}, which a VGG net does not have`
    // as a convolution over the last feature map, a linear layer has no padding
    const pad = /^conv/.test(name) && options.kernel_size === 3 ? 1 : 0
    const wanted: ForeignLayer['options'] = { ...expected[kind], ...(kind === 'Convolution' && { pad }) }
    const other = Object.keys(wanted).find((option) => options[option] !== wanted[option])
    if (other !== undefined)
      return `its layer ${name} has ${other} ${options[other]}, and that of a VGG net has ${wanted[other]}`
  }
  return misplacedPool.test(orderOf(layers))
    ? 'its max-pools are not those of a VGG net: one after each block of convolutions'
    : undefined
}

/** The convolutions as the number of their block and the pools as p: '1p2p33p44p55p' is configuration A. */
const orderOf = (layers: readonly ForeignLayer[]): string =>
  layers.map(({ name, kind }) => (kind === 'Pooling' ? 'p' : (/^conv(\d)_/.exec(name)?.[1] ?? ''))).join('')

/** A pool before the first block, after a pool or within a block; or none between two blocks. */
const misplacedPool = /^p|pp|(\d)p\1|(\d)(?!\2)\d/

/**
 * The authors' release. Pools of Caffe round sizes up, and ours down: for images whose sides are multiples of 32 they are the
 * same. https://www.robots.ox.ac.uk/~vgg/research/very_deep/
 */
export const caffe: Source = {
  name: 'caffe',
  title: "the authors' VGG (Caffe)",
  containers: ['caffe'],
  licence: 'CC-BY-4.0',
  pixels: { ...caffePixels, order: 'BGR' },
  classNames: 'imagenet',
  names: ({ layer, part }) => [`${layer}.${part === 'weight' ? 0 : 1}`],
  convolution: 'oihw',
  linear: 'oi',
  flattened: 'chw',
  refusal,
}
