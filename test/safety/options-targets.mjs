// The public functions with numeric options: the names of what is varied, and a call with valid values for the rest.
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import sharp from 'sharp'
// Written in JavaScript and run on dist/, because a TypeScript loader does not start under the limit of memory.
import { createProgram } from '../../dist/cli/program.js'
import { exitCode, failureText } from '../../dist/cli/terminal/exit.js'
import { decodingChecks } from '../../dist/data/images/formats.js'
import { photoChecks } from '../../dist/data/sources/photo-options.js'
import * as vggnet from '../../dist/index.js'
import { runTable } from '../../dist/network/open.js'
import { checkpointTable, trainTable } from '../../dist/train/options.js'
import { scheduleTable } from '../../dist/train/schedule.js'
import { modelTable } from '../../dist/vgg/configuration.js'
import { textOf } from './options-values.mjs'

const { VGG, Network, Tensor, VggError, Loader, Random } = vggnet
export const home = mkdtempSync(path.join(tmpdir(), 'vggnet-options-'))

const small = { variant: 'A', classes: 2, imageSize: 32, width: 1 / 64, headWidth: 4, device: 'cpu', threads: 1 }
const fresh = () => VGG.create(small)
const pixels = (count, side = 32) =>
  Uint8Array.from({ length: count * side * side * 3 }, (_, index) => (index * 7) % 251)
const data = vggnet.arrayDataset({ images: pixels(6), shape: [6, 32, 32, 3], labels: [0, 1, 0, 1, 0, 1] })
const png = await sharp(pixels(1), { raw: { width: 32, height: 32, channels: 3 } })
  .png()
  .toBuffer()
const images = (count = 2) => Tensor.from(pixels(count), [count, 32, 32, 3])
const list = { sources: [png, png], names: ['a', 'b'], labels: Int32Array.of(0, 1), classNames: ['x', 'y'] }
const net = await fresh()
const saved = path.join(home, 'saved.safetensors')
await vggnet.save(net, saved)
const layers = [
  { kind: 'input', channels: 3, mean: [0, 0, 0], scale: [1, 1, 1] },
  { kind: 'convolution', name: 'c', outputs: 2, kernel: 3 },
  { kind: 'local-norm', name: 'n', size: 5, k: 2, alpha: 1e-4, beta: 0.75 },
  { kind: 'max-pool', name: 'p' },
  { kind: 'linear', name: 'l', outputs: 2, window: [4, 4] },
]

/** Options of training, which ends after its first step. */
async function firstStep(options) {
  const stop = new AbortController()
  await vggnet.train(net, data, { epochs: 1, batch: 3, signal: stop.signal, onStep: () => stop.abort(), ...options })
}

/** A network that is made, used once if it is small, and disposed of. */
async function used(made, shape) {
  const opened = await made
  try {
    const count = opened.parameters.reduce((sum, one) => sum + one.count, 0)
    if (count < 1e6 && shape !== undefined) await opened.forward(Tensor.zeros(shape, { dtype: 'uint8' }))
  } finally {
    opened.dispose()
  }
}

const taken = (loader) => loader.next()
const withFields = (kind, fields) => layers.map((layer) => (layer.kind === kind ? { ...layer, ...fields } : layer))
const target = (keys, call) => ({ keys, call })
const train = Object.keys(trainTable)
const model = [...Object.keys(modelTable), ...Object.keys(runTable)].filter(
  (name) => name !== 'origin' && name !== 'device',
)

export const targets = {
  'VGG.create': target(model, (given) =>
    used(VGG.create({ ...small, memoryLimit: 2 ** 28, ...given }), [1, 32, 32, 3]),
  ),
  layersOf: target(model, (given) => vggnet.layersOf({ ...net.configuration, ...given })),
  replaceHead: target(['classes', 'headWidth', 'dropout', 'seed', 'initialisation'], async (given) =>
    (await vggnet.replaceHead(net, { classes: 3, ...given })).dispose(),
  ),
  ...Object.fromEntries(
    Object.entries({
      input: ['channels', 'mean', 'scale'],
      convolution: ['outputs', 'kernel', 'relu', 'name'],
      'local-norm': ['size', 'k', 'alpha', 'beta', 'name'],
      'max-pool': ['size', 'name'],
      linear: ['outputs', 'window', 'relu', 'dropout', 'name'],
    }).flatMap(([kind, keys]) => [
      [
        `Network.create ${kind}`,
        target(keys, (given) =>
          used(
            Network.create({ layers: withFields(kind, given), device: 'cpu', threads: 1, memoryLimit: 2 ** 28 }),
            [1, 8, 8, 3],
          ),
        ),
      ],
      [
        `describe ${kind}`,
        target([...keys, 'shape'], ({ shape = [1, 3, 8, 8], ...given }) =>
          vggnet.describe({ layers: withFields(kind, given), shape }),
        ),
      ],
    ]),
  ),
  describe: target(['n', 'c', 'h', 'w', 'training', 'keep'], ({ n = 1, c = 3, h = 8, w = 8, ...given }) =>
    vggnet.describe({ layers, shape: [n, c, h, w], ...given }),
  ),
  train: target([...train, 'validation', 'frozenFeatures', 'differences', 'resume'], firstStep),
  ...Object.fromEntries(
    ['plateau', 'step', 'milestones', 'cosine'].map((kind) => [
      `train ${kind}`,
      target(['kind', 'epochs', ...Object.keys(scheduleTable)], ({ epochs = 2, ...given }) =>
        firstStep({
          epochs,
          validation: data,
          schedule: { kind, ...(kind === 'milestones' && { at: [1] }), ...given },
        }),
      ),
    ]),
  ),
  'train checkpoint': target(Object.keys(checkpointTable), (given) =>
    firstStep({ checkpoint: { folder: path.join(home, 'kept'), ...given } }),
  ),
  evaluate: target(['batch'], (given) => vggnet.evaluate(net, data, given)),
  batching: target(['maxBatch', 'maxDelayMs', 'maxQueue'], (given) => vggnet.batching(net, given).close()),
  classify: target(['top', ...Object.keys(decodingChecks)], (given) => vggnet.classify(net, png, given)),
  preflight: target(['batch', 'microBatch', 'epochs', 'learningRate', 'memoryLimit', 'limit', 'seed'], (given) => {
    const signal = AbortSignal.timeout(300)
    return vggnet.preflight(net, { training: data, batch: 2, epochs: 1, signal, ...given })
  }),
  step: target(
    ['learningRate', 'momentum', 'weightDecay', 'rateFactors', 'microBatch', 'labels', 'augment', 'from'],
    ({ labels = [0, 1], ...given }) => net.step(images(), labels, { learningRate: 0.001, ...given }),
  ),
  update: target(['learningRate', 'momentum', 'weightDecay', 'rateFactors'], async (given) => {
    await net.forward(images(), { training: true })
    await net.backward([0, 1])
    await net.update({ learningRate: 0.001, ...given })
  }),
  forward: target(['training', 'keep', 'inputGradient', 'firstImage', 'augment', 'from'], (given) =>
    net.forward(images(), given),
  ),
  augment: target(
    ['flip', 'shift', 'first', 'second'],
    ({ first: one = 0, second = 1, flip = Uint8Array.of(textOf(one), textOf(second)), ...given }) =>
      net.forward(images(), { augment: { flip, ...given } }),
  ),
  backward: target(['accumulate', 'batch', 'inject', 'labels'], async ({ labels = [0, 1], ...given }) => {
    await net.forward(images(), { training: true })
    await net.backward(labels, given)
  }),
  features: target(['names', 'from'], ({ names = ['pool1'], ...given }) => net.features(images(), names, given)),
  'network calls': target(['step', 'name', 'freeze', 'unfreeze'], async (given) => {
    if ('step' in given) await net.setTrainingStep(given.step)
    await net.parameter(given.name ?? 'fc8.bias')
    if ('freeze' in given) net.freeze(given.freeze)
    net.unfreeze(given.unfreeze)
  }),
  Tensor: target(['a', 'b', 'shape', 'dtype', 'seed', 'mean', 'std', 'start', 'end', 'k'], async (given) => {
    const { a = 2, b = 3, shape = [a, b], dtype = 'float32' } = given
    const zeros = Tensor.zeros(shape, { dtype })
    if (elements(zeros) > 2 ** 20) return
    const { seed: drawn = 1, mean = 0, std = 1, start = 0, end = 1, k = 1 } = given
    const random = Tensor.randn(shape, { seed: drawn, mean, std })
    await random.slice(start, end).data()
    await random.topk(k)
    await random.softmax()
  }),
  'Tensor.from': target(['a', 'b', 'shape'], ({ a = 2, b = 3, shape = [a, b] }) =>
    Tensor.from(new Float32Array(6), shape),
  ),
  Loader: target(['batch', 'dropLast', 'seed', 'shift', 'background', 'flip', 'ahead', 'epochs'], (given) =>
    taken(new Loader(data, { batch: 2, ...given })),
  ),
  'Loader.restore': target(['epoch', 'position', 'seed', 'order', 'shifts'], (given) => {
    const loader = new Loader(data, { batch: 2 })
    loader.restore({ ...loader.state, ...given })
    return taken(loader)
  }),
  arrayDataset: target(['images', 'shape', 'n', 'h', 'w', 'c', 'labels', 'label', 'classNames'], (given) => {
    const {
      n = 2,
      h = 32,
      w = 32,
      c = 3,
      label = 1,
      shape = [n, h, w, c],
      labels = [0, label],
      images: bytes = pixels(2),
      ...rest
    } = given
    return vggnet.arrayDataset({ images: bytes, shape, labels, ...rest })
  }),
  derived: target(['indices', 'heldOut', 'seed', 'height', 'width', 'background', 'classNames'], (given) => {
    const {
      indices = Int32Array.of(0, 1),
      heldOut = 2,
      seed: drawn = 1,
      height = 40,
      width = 40,
      background = 0,
      classNames = ['0', '1'],
    } = given
    vggnet.subset(data, indices)
    vggnet.stratifiedSplit(data, heldOut, drawn)
    vggnet.withClasses(data, classNames)
    return vggnet.paddedDataset(data, { height, width }, background)
  }),
  Random: target(['seed', 'row', 'column', 'low', 'high', 'limit', 'count', 'state'], (given) => {
    const { seed: drawn = 1, row = 0, column = 0, low = 0, high = 1, limit = 5, count = 5 } = given
    const random = Random.at(drawn, row, column)
    random.uniform(low, high)
    random.integer(limit)
    if (typeof count !== 'number' || !(count > 1e6)) random.permutation(count)
    new Random(drawn).next()
    if ('state' in given) Random.restore(given.state)
  }),
  statisticsOf: target(['limit', 'seed'], (given) => vggnet.statisticsOf(data, given)),
  readImage: target(
    ['height', 'width', 'smallestSide', 'channels', ...Object.keys(decodingChecks)],
    ({ height = 32, width = 32, channels = 3, ...given }) => vggnet.readImage(png, { height, width, channels }, given),
  ),
  readImageSize: target(Object.keys(decodingChecks), (given) => vggnet.readImageSize(png, given)),
  photoDataset: target(Object.keys(photoChecks), async (given) => {
    const photos = vggnet.photoDataset(list, { crop: 32, smallestSide: 32, ...given })
    if (photos.height * photos.width > 2 ** 22) return
    await taken(new Loader(photos, { batch: 2 }))
  }),
  datasetFrom: target(['crop', 'smallestSide', 'channels', 'workers', ...Object.keys(decodingChecks)], (given) =>
    vggnet.datasetFrom(
      [
        { image: png, label: 0 },
        { image: png, label: 1 },
      ],
      { crop: 32, ...given },
    ),
  ),
  save: target(['file'], ({ file = path.join(home, 'model.safetensors') }) =>
    typeof file === 'string' && file !== '' ? undefined : vggnet.save(net, file),
  ),
  load: target(
    ['file', 'classes', 'imageSize', 'channels', 'width', 'headWidth', 'dropout', 'threads', 'seed', 'memoryLimit'],
    async ({ file = saved, ...given }) => (await vggnet.load(file, given)).dispose(),
  ),
}

const elements = ({ shape }) => shape.reduce((product, length) => product * length, 1)

/* flags of the command line */

const program = createProgram()
for (const command of program.commands) {
  const flags = command.options.filter(({ required, hidden }) => required && !hidden)
  const begin = {
    describe: ['describe'],
    train: ['train', path.join(home, 'none')],
    check: ['check', path.join(home, 'none')],
  }[command.name()]
  if (begin === undefined || flags.length === 0) continue
  targets[`vggnet ${command.name()}`] = target(
    flags.map(({ long }) => long),
    async (given) => {
      const words = Object.entries(given).flatMap(([flag, value]) => [flag, textOf(value)])
      try {
        await createProgram()
          .exitOverride()
          .parseAsync([...begin, ...words], { from: 'user' })
      } catch (error) {
        if (error instanceof VggError) throw error
        if (exitCode(error) !== 2) throw error
        failureText(error)
      }
    },
  )
}
