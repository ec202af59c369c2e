import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import {
  arrayDataset,
  type Dataset,
  datasetFrom,
  evaluate,
  idxDataset,
  Loader,
  load,
  meanOf,
  readImage,
  readImageSize,
  stratifiedSplit,
  subset,
  train,
  VGG,
} from '../../lib/index.js'
import { programMistakes } from './mistake.js'
import { options, untyped } from './small-net.js'

let net: VGG
let folder: string
beforeAll(async () => {
  net = await VGG.create(options)
  folder = await mkdtemp(path.join(tmpdir(), 'vggnet-mistakes-'))
})
afterAll(async () => {
  net.dispose()
  await rm(folder, { recursive: true })
})

/** Images of one size in `classes` classes. */
function images(count: number, { classes = 2, side = 32 } = {}): Dataset {
  const pixels = new Uint8Array(count * side * side * 3).fill(90)
  const labels = Array.from({ length: count }, (_, index) => index % classes)
  return arrayDataset({ images: pixels, shape: [count, side, side, 3], labels })
}

const two = { images: new Uint8Array(2 * 3072), shape: [2, 32, 32, 3], labels: [0, 1] }

function detached(): Uint8Array {
  const pixels = new Uint8Array(2 * 3072)
  structuredClone(pixels, { transfer: [pixels.buffer] })
  return pixels
}

const empty = () => subset(images(2), new Int32Array(0))

programMistakes('empty data', [
  ...[
    { name: 'train', make: () => train(net, empty(), { epochs: 1 }) },
    { name: 'evaluate', make: () => evaluate(net, empty()) },
    { name: 'meanOf', make: () => meanOf(empty()) },
    { name: 'Loader', make: () => new Loader(empty(), { batch: 2 }) },
  ].map(({ name, make }) => ({
    name: `${name} without images`,
    make,
    code: 'INVALID_ARGUMENT' as const,
    problem: ['data', 'an empty dataset'],
    cure: ['at least one image'],
  })),
  {
    name: 'an array of no images',
    make: () => arrayDataset({ images: new Uint8Array(0), shape: [0, 32, 32, 3], labels: [] }),
    code: 'INVALID_ARGUMENT',
    problem: ['images', 'received shape [0, 32, 32, 3]'],
    cure: ['at least one image'],
  },
  {
    name: 'an iterable of no images',
    make: () => datasetFrom([], { shape: [32, 32, 3] }),
    code: 'INVALID_ARGUMENT',
    problem: ['source', 'ended before the first'],
    cure: ['at least one image'],
  },
  {
    name: 'an IDX file of no images',
    make: async () => {
      const file = path.join(folder, 'none')
      await writeFile(file, Uint8Array.of(0, 0, 8, 3, 0, 0, 0, 0, 0, 0, 0, 28, 0, 0, 0, 28))
      return idxDataset({ images: file, labels: file })
    },
    code: 'FILE_FORMAT',
    problem: ['none', '0x28x28'],
    cure: ['at least one image or label'],
  },
])

programMistakes('labels', [
  {
    name: 'a label beyond the class names',
    make: () => arrayDataset({ ...two, labels: [1, 2], classNames: ['a', 'b'] }),
    code: 'INVALID_ARGUMENT',
    problem: ['labels[1]', '2 (number)'],
    cure: ['a class from 0 to 1', 'subtract 1'],
  },
  {
    name: 'names as labels of an array',
    make: () => arrayDataset({ ...two, labels: untyped(['cat', 'dog']) }),
    code: 'INVALID_ARGUMENT',
    problem: ['labels[0]', "'cat'"],
    cure: ['the index of its name in classNames'],
  },
  {
    name: 'a misspelt class',
    make: () =>
      datasetFrom([{ image: new Uint8Array(3072), label: 'brihgt' }], {
        shape: [32, 32, 3],
        classNames: ['dark', 'bright'],
      }),
    code: 'INVALID_ARGUMENT',
    problem: ['label of image 0', "'brihgt'"],
    cure: ["did you mean 'bright'?"],
  },
  {
    name: 'data of more classes than the network has',
    make: () => train(net, images(6, { classes: 3 }), { epochs: 1 }),
    code: 'SHAPE_MISMATCH',
    problem: ['at most 2 classes for data', 'it has 3'],
    cure: ['classes: 3', 'replaceHead(net, { classes: 3 })'],
  },
])

/** A dataset of a program's own, with some of it changed. */
const own = (changes: object): Dataset => ({ ...images(4), ...changes })

programMistakes("datasets of a program's own", [
  ...[
    { name: 'read resolves to text', read: async () => 'done' },
    { name: 'read resolves to null', read: async () => null },
    { name: 'read resolves to numbers', read: async () => [1] },
  ].map(({ name, read }) => ({
    name,
    make: () => evaluate(net, own({ read })),
    code: 'INVALID_ARGUMENT' as const,
    problem: ['the result of read of the dataset'],
    cure: ['an array of the images that could not be read'],
  })),
  {
    name: 'readAugmented resolves to null',
    make: () => train(net, own({ readAugmented: async () => null }), { epochs: 1, batch: 2 }),
    code: 'INVALID_ARGUMENT',
    problem: ['the result of readAugmented of the dataset', 'null'],
    cure: ['an object'],
  },
  {
    name: 'no labels',
    make: () => evaluate(net, own({ labels: null })),
    code: 'INVALID_ARGUMENT',
    problem: ['labels of data', 'null'],
    cure: ['the class of each image (Int32Array)'],
  },
])

programMistakes('images', [
  {
    name: 'an ArrayBuffer',
    make: () => readImage(untyped(new ArrayBuffer(8)), { height: 32, width: 32, channels: 3 }),
    code: 'INVALID_ARGUMENT',
    problem: ['source', 'ArrayBuffer'],
    cure: ['write new Uint8Array(source)'],
  },
  {
    name: 'no size',
    make: () => readImage('x.png', untyped(null)),
    code: 'INVALID_ARGUMENT',
    problem: ['size', 'null'],
    cure: ['{ height, width, channels }'],
  },
  {
    name: 'the size of nothing',
    make: () => readImageSize(untyped(undefined)),
    code: 'INVALID_ARGUMENT',
    problem: ['source', 'undefined'],
    cure: ['the path of an image or its bytes (Uint8Array)'],
  },
  {
    name: 'weights with a name that is no text',
    make: () => load(untyped(Symbol('weights'))),
    code: 'INVALID_ARGUMENT',
    problem: ['Symbol(weights)'],
    cure: ['Expected'],
  },
])

programMistakes('datasets', [
  {
    name: 'floating-point pixels',
    make: () => arrayDataset({ ...two, images: untyped(new Float32Array(2 * 3072)) }),
    code: 'INVALID_ARGUMENT',
    problem: ['images', 'Float32Array(6144)'],
    cure: ['Uint8Array.from(x, (value) => 255 * value)'],
  },
  {
    name: 'channels first',
    make: () => arrayDataset({ ...two, shape: [2, 3, 32, 32] }),
    code: 'SHAPE_MISMATCH',
    problem: ['shape', 'received [2, 3, 32, 32]'],
    cure: ['channels last: [2, 32, 32, 3]'],
  },
  {
    name: 'grey images without a channel axis',
    make: () => arrayDataset({ ...two, shape: [6, 32, 32] }),
    code: 'SHAPE_MISMATCH',
    problem: ['shape', 'received [6, 32, 32]'],
    cure: ['[6, 32, 32, 1]'],
  },
  {
    name: 'a wrong number of images',
    make: () => arrayDataset({ ...two, shape: [3, 32, 32, 3] }),
    code: 'SHAPE_MISMATCH',
    problem: ['9216 bytes', 'received 6144'],
    cure: ['which is 2 such images'],
  },
  {
    name: 'pixels that were transferred to a worker',
    make: () => arrayDataset({ ...two, images: detached() }),
    code: 'INVALID_ARGUMENT',
    problem: ['detached'],
    cure: ['transfer a copy to a worker, array.slice()'],
  },
  {
    name: 'pixels that are transferred while the dataset is in use',
    make: async () => {
      const pixels = new Uint8Array(2 * 3072)
      const data = arrayDataset({ ...two, images: pixels })
      structuredClone(pixels, { transfer: [pixels.buffer] })
      return evaluate(net, data)
    },
    code: 'INVALID_ARGUMENT',
    problem: ['detached'],
    cure: ['transfer a copy to a worker, array.slice()'],
  },
  {
    name: 'both parts of a split at once',
    make: () => train(net, untyped(stratifiedSplit(images(8), 2, 1)), { epochs: 1 }),
    code: 'INVALID_ARGUMENT',
    problem: ['a dataset', 'for data'],
    cure: ['use its field training'],
  },
  {
    name: 'a share instead of a number of images to hold out',
    make: () => stratifiedSplit(images(20), 0.2, 1),
    code: 'INVALID_ARGUMENT',
    problem: ['heldOut', '0.2 (number)'],
    cure: ['this share of them is 4'],
  },
  {
    name: 'a dataset that is not awaited',
    make: () => train(net, untyped(datasetFrom([{ image: new Uint8Array(3072), label: 0 }], { shape: [32, 32, 3] }))),
    code: 'INVALID_ARGUMENT',
    problem: ['a dataset', 'Promise (object)'],
    cure: ['await it first'],
  },
  {
    name: 'images of another size than those of the network',
    make: () => evaluate(net, images(2, { side: 64 })),
    code: 'SHAPE_MISMATCH',
    problem: ['received 64x64', 'a class map of 2x2'],
    cure: ['resize or crop them', 'imageSize: [64, 64]'],
  },
])
