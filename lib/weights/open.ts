import path from 'node:path'
import type { Model } from '../checkpoint/model.js'
import { useModel, warn } from '../checkpoint/model-folder.js'
import { NotOurs, type OpenFile, TensorReader, withFile } from '../checkpoint/open-file.js'
import { VggError, withEnd } from '../error.js'
import { type Parameter, parametersOf } from '../layer.js'
import type { Network } from '../network/network.js'
import { filePath } from '../options.js'
import type { Adapted, FirstLayer } from '../vgg/adapted.js'
import { vggLayers } from '../vgg/configuration.js'
import { VGG } from '../vgg/vgg.js'
import { openWeightFile } from './containers/containers.js'
import type { WeightFile } from './containers/weight-file.js'
import { type Deduced, deduced, type Reading } from './deduce.js'
import { imageNetClasses } from './imagenet.js'
import { readParameter } from './read-tensor.js'

/** Number of elements that are written at a time: 16 MB. */
const mostAtOnce = 2 ** 22
/** A part of a parameter has a multiple of these outputs. */
const outputsAtOnce = 128

/** Open weights: their network is known, and no parameter was read yet. */
export interface OpenWeights {
  /** What reproduces the network without its weights. */
  readonly model: Model
  /**
   * Fills a network with the parameters that are kept of the model. Each tensor is read once.
   * @throws FILE_FORMAT if the file is damaged
   */
  fill(network: Network, adapted: Pick<Adapted, 'kept' | 'firstLayer'>): Promise<void>
}

/**
 * Opens weights, and closes them after `use`.
 * @param source a file of ours or of another program; the folder of a run or of checkpoints, for its best model
 * @throws FILE_NOT_FOUND, FILE_FORMAT
 */
export async function withWeights<T>(
  source: string,
  reading: Reading,
  use: (weights: OpenWeights) => Promise<T>,
): Promise<T> {
  return useModel(filePath(source, 'path'), async (file) => {
    try {
      if (reading.source === undefined) return await withFile(file, (own) => use(ownWeights(own, file)))
    } catch (error) {
      if (!(error instanceof NotOurs)) throw error
    }
    const open = await openWeightFile(file)
    try {
      const read = async (): Promise<T> => use(foreignWeights(open, deduced(open, reading), file))
      return await withEnd(read, () => open.close())
    } catch (cause) {
      if (!(cause instanceof VggError) || cause.code !== 'FILE_FORMAT') throw cause
      throw new VggError('FILE_FORMAT', `${file}: ${cause.message}`, { cause })
    }
  })
}

type Fill = OpenWeights['fill']
type Take = (name: string, values: Float32Array) => Promise<void>

function ownWeights(file: OpenFile, name: string): OpenWeights {
  const fill: Fill = async (network, adapted) => {
    const take = writer(network, adapted)
    const reader = new TensorReader(file)
    for (const entry of file.tensors) {
      if (file.parameters.has(entry) && adapted.kept.has(entry.name)) {
        const { buffer } = await reader.read(entry)
        await take(entry.name, new Float32Array(buffer))
      } else {
        await reader.skip(entry)
      }
    }
    if (file.checksums.covers === 'nothing')
      warn(`${name} has no checksums and could not be verified; save writes a model with them`)
  }
  return { model: file.model, fill }
}

function foreignWeights(file: WeightFile, { source, configuration, tensors }: Deduced, name: string): OpenWeights {
  const layers = vggLayers(configuration)
  const [, first] = layers
  const [height, width] = configuration.imageSize.map((side) =>
    Math.floor(side / 2 ** configuration.variant.blocks.length),
  )
  const fill: Fill = async (network, adapted) => {
    const take = writer(network, adapted)
    const byTensor = new Map(parametersOf(layers).map((parameter) => [tensors.get(parameter.name), parameter]))
    for (const tensor of file.tensors) {
      const parameter = byTensor.get(tensor)
      if (parameter === undefined || !adapted.kept.has(parameter.name)) continue
      const [layer] = parameter.name.split('.')
      const readsImage = first !== undefined && 'name' in first && layer === first.name
      const mapSize = layer === 'fc6' ? (height ?? 1) * (width ?? 1) : 1
      await take(parameter.name, await readParameter(file, source, { parameter, tensor, readsImage, mapSize }))
    }
    if (!(network instanceof VGG)) return
    const { name: by, licence } = source
    network.origin = { source: by, file: path.basename(name), sha256: await file.digest(), licence }
  }
  const implied = source.classNames === 'imagenet' && configuration.classes === imageNetClasses.length
  return { model: { kind: 'VGG', ...configuration, classNames: implied ? imageNetClasses : [] }, fill }
}

/** Writes parameters into a network. Those of conv1_1 are written together where they are made for other channels. */
function writer(network: Network, { firstLayer }: Pick<Adapted, 'firstLayer'>): Take {
  if (firstLayer === undefined) return (name, values) => writeInParts(network, name, values)
  const held: { -readonly [Part in keyof FirstLayer]?: FirstLayer[Part] } = {}
  return async (name, values) => {
    if (!name.startsWith('conv1_1.')) return writeInParts(network, name, values)
    held[name === 'conv1_1.weight' ? 'weight' : 'bias'] = values
    const { weight, bias } = held
    if (weight === undefined || bias === undefined) return
    const made = firstLayer({ weight, bias })
    await writeInParts(network, 'conv1_1.weight', made.weight)
    await writeInParts(network, 'conv1_1.bias', made.bias)
  }
}

/** Writes a parameter in parts, because the native side copies what it is given. */
async function writeInParts(network: Network, name: string, values: Float32Array): Promise<void> {
  const { shape } = network.parameters.find((one) => one.name === name) as Parameter
  const each = values.length / (shape[0] ?? 1)
  const outputs = outputsAtOnce * Math.max(1, Math.floor(mostAtOnce / each / outputsAtOnce))
  for (let first = 0; first < (shape[0] ?? 0); first += outputs)
    await network.setOutputs(name, first, values.subarray(first * each, (first + outputs) * each))
}
