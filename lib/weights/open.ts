import { realpath } from 'node:fs/promises'
import path from 'node:path'
import type { Model } from '../checkpoint/model.js'
import { useModel, warn } from '../checkpoint/model-folder.js'
import { NotOurs, type OpenFile, TensorReader, withFile } from '../checkpoint/open-file.js'
import type { Entry } from '../checkpoint/safetensors.js'
import { VggError, withEnd } from '../error.js'
import { parametersOf } from '../layer.js'
import type { Network } from '../network/network.js'
import { filePath } from '../options.js'
import type { Adapted, FirstLayer } from '../vgg/adapted.js'
import { vggLayers } from '../vgg/configuration.js'
import type { Origin } from '../vgg/origin.js'
import { VGG } from '../vgg/vgg.js'
import type { ForeignTensor, WeightFile } from './containers/weight-file.js'
import { type Deduced, deduced, type Reading } from './deduce.js'
import { hubUriText, isHubUri } from './hub/uri.js'
import { imageNetClasses } from './imagenet.js'
import { outputsInPart, type Part, readParameter } from './read-tensor.js'
import { sourceByValues } from './sources/sources.js'

const elementBytes = Float32Array.BYTES_PER_ELEMENT

/** Open weights: their network is known, and no parameter was read yet. */
export interface OpenWeights {
  /** What reproduces the network without its weights. */
  readonly model: Model
  /**
   * Fills a network with the parameters that are kept of the model. Each tensor is read once.
   * @returns SHA-256 of the file in hex, where it is a whole file of another program
   * @throws FILE_FORMAT if the file is damaged
   */
  fill(network: Network, change: Change): Promise<string | undefined>
}

/** The parameters that are those of the model, and what is made of conv1_1. */
type Change = Pick<Adapted, 'kept' | 'firstLayer'>

/** A part of the work on a source, in bytes. */
export interface LoadProgress {
  /** 'fetching' from the hub, or 'reading' the file into the network. */
  readonly doing: 'fetching' | 'reading'
  /** Bytes done. */
  readonly bytes: number
  /** Bytes in all. */
  readonly of: number
}

/** How a source is opened. */
export interface Opening extends Reading {
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: LoadProgress) => unknown) | undefined
}

/** A file of weights on this machine. */
interface LocalFile {
  readonly path: string
  /** Its name in the origin: that of the file, or its address on the hub. */
  readonly name: string
  /** Bytes of the file on the hub that it has, if it is a part of it. */
  readonly ranges?: string | undefined
  /** SHA-256 that the hub states, if it is the whole file of the hub. */
  readonly sha256?: string | undefined
  /** The source by the names of all tensors, if it is a part of them. */
  readonly source?: string | undefined
}

/**
 * Opens weights, and closes them after `use`.
 * @param source a file of ours or of another program; the folder of a run or of checkpoints, for its best model; or an address
 *   on the Hugging Face hub, of which only the convolutions are fetched where the head is not wanted
 * @throws FILE_NOT_FOUND, FILE_FORMAT, and for the hub the errors of `fetchWhole`
 */
export async function withWeights<T>(
  source: string,
  opening: Opening,
  use: (weights: OpenWeights) => Promise<T>,
): Promise<T> {
  if (isHubUri(source)) return withLocal(await fetched(source, opening), opening, use)
  const local = (file: string): LocalFile => ({ path: file, name: path.basename(file) })
  return useModel(filePath(source, 'source'), (file) => withLocal(local(file), opening, use))
}

/** The file of an address on the hub: as a whole, or its convolutions where the head is not wanted. */
async function fetched(address: string, opening: Opening): Promise<LocalFile> {
  const { signal, onProgress } = opening
  const options = {
    ...(signal && { signal }),
    ...(onProgress && {
      onProgress: ({ received, total }: { received: number; total: number }) => {
        onProgress({ doing: 'fetching', bytes: received, of: total })
      },
    }),
  }
  let source: string | undefined
  const choose = (tensors: readonly ForeignTensor[]): string[] => {
    const found = deduced({ container: 'safetensors', tensors, layers: [], metadata: {} }, opening)
    source = found.source.name
    return [...found.tensors.values()].map(({ name }) => name)
  }
  const { fetchTensors, fetchWhole } = await import('./hub/hub.js')
  const found =
    opening.head === 'none' ? await fetchTensors(address, choose, options) : await fetchWhole(address, options)
  if (found.remark !== undefined) warn(found.remark)
  const { path: file, ranges, sha256 } = found
  return { path: file, name: hubUriText(found), ranges, sha256, source: ranges && source }
}

async function withLocal<T>(file: LocalFile, opening: Opening, use: (weights: OpenWeights) => Promise<T>): Promise<T> {
  try {
    if (opening.source === undefined) return await withFile(file.path, (own) => use(ownWeights(own, file, opening)))
  } catch (error) {
    if (!(error instanceof NotOurs)) throw error
  }
  // loaded on request: most programs read files of ours only
  const { openWeightFile } = await import('./containers/containers.js')
  const open = await openWeightFile(file.path)
  try {
    const read = async (): Promise<T> => {
      const by = opening.source ?? (await sourceByValues(open)) ?? file.source
      return use(foreignWeights(open, deduced(open, { ...opening, source: by }), file, opening))
    }
    return await withEnd(read, () => open.close())
  } catch (cause) {
    if (!(cause instanceof VggError) || cause.code !== 'FILE_FORMAT') throw cause
    throw new VggError('FILE_FORMAT', `${file.path}: ${cause.message}`, { cause })
  }
}

type Fill = OpenWeights['fill']
type Take = (name: string, part: Part) => Promise<void>

/**
 * Takes the parts of a parameter. One is read while the one before is written. All are read, also after a failure: that the
 * file is damaged explains values that are refused.
 */
async function takeParts(name: string, parts: AsyncIterable<Part>, take: Take): Promise<void> {
  const failures: unknown[] = []
  let writing: Promise<unknown> = Promise.resolve()
  for await (const part of parts) {
    await writing
    writing = take(name, part).catch((error) => failures.push(error))
  }
  await writing
  if (failures.length > 0) throw failures[0]
}

/** Reads a parameter of a file of ours. */
async function* ownParts(reader: TensorReader, entry: Entry): AsyncGenerator<Part> {
  const [outputs = 1] = entry.shape
  const each = (entry.end - entry.begin) / outputs
  const rows = outputsInPart(each / elementBytes)
  let first = 0
  for await (const { buffer, byteOffset, length } of reader.parts(entry, rows * each)) {
    yield { first, values: new Float32Array(buffer, byteOffset, length / elementBytes) }
    first += rows
  }
}

function ownWeights(file: OpenFile, { path: name }: LocalFile, opening: Opening): OpenWeights {
  const fill: Fill = async (network, adapted) => {
    const take = writer(network, adapted, opening)
    const reader = new TensorReader(file)
    for (const entry of file.tensors) {
      if (file.parameters.has(entry) && adapted.kept.has(entry.name)) {
        await takeParts(entry.name, ownParts(reader, entry), take)
      } else {
        await reader.skip(entry)
      }
    }
    if (file.checksums.covers === 'nothing')
      warn(`${name} has no checksums and could not be verified; save writes a model with them`)
    return undefined
  }
  return { model: file.model, fill }
}

function foreignWeights(file: WeightFile, found: Deduced, local: LocalFile, opening: Opening): OpenWeights {
  const { source, configuration, tensors } = found
  const layers = vggLayers(configuration)
  const [, first] = layers
  const { imageSize, variant } = configuration
  const [height = 1, width = 1] = imageSize.map((side) => Math.floor(side / 2 ** variant.blocks.length))
  const origin: Origin = {
    source: source.name,
    file: local.name,
    ...(local.ranges !== undefined && { ranges: local.ranges }),
    ...(source.licence !== undefined && { licence: source.licence }),
  }
  const fill: Fill = async (network, adapted) => {
    const take = writer(network, adapted, opening)
    const byTensor = new Map(parametersOf(layers).map((parameter) => [tensors.get(parameter.name), parameter]))
    for (const tensor of file.tensors) {
      const parameter = byTensor.get(tensor)
      if (parameter === undefined || !adapted.kept.has(parameter.name)) continue
      const [layer] = parameter.name.split('.')
      const readsImage = first !== undefined && 'name' in first && layer === first.name
      const mapSize = layer === 'fc6' ? height * width : 1
      await takeParts(parameter.name, readParameter(file, source, { parameter, tensor, readsImage, mapSize }), take)
    }
    // the hash of a part is none of the file's
    if (!(network instanceof VGG) || local.ranges !== undefined) return undefined
    const sha256 = await file.digest()
    if (sha256 !== (local.sha256 ?? sha256)) throw await damaged(local, sha256)
    network.origin = { ...origin, sha256 }
    return sha256
  }
  const named = source.classNames === 'imagenet' && configuration.classes === imageNetClasses.length
  return { model: { kind: 'VGG', ...configuration, classNames: named ? imageNetClasses : [], origin }, fill }
}

/** Writes parameters into a network, and reports them. Those of conv1_1 are written together for other channels. */
function writer(network: Network, { kept, firstLayer }: Change, { onProgress }: Opening): Take {
  const parameters = new Map(network.parameters.map((parameter) => [parameter.name, parameter]))
  const of = [...kept].reduce((sum, name) => sum + elementBytes * (parameters.get(name)?.count ?? 0), 0)
  let bytes = 0
  const write = async (name: string, { first, values }: Part): Promise<void> => {
    await network.inTurn((native) => native.write('parameter', name, first, values))
    bytes += elementBytes * values.length
    await onProgress?.({ doing: 'reading', bytes, of })
  }
  const held: { -readonly [Name in keyof FirstLayer]?: FirstLayer[Name] } = {}
  return async (name, part) => {
    if (firstLayer === undefined || !name.startsWith('conv1_1.')) return write(name, part)
    held[name === 'conv1_1.weight' ? 'weight' : 'bias'] = part.values
    const { weight, bias } = held
    if (weight === undefined || bias === undefined) return
    const made = firstLayer({ weight, bias })
    await write('conv1_1.weight', { first: 0, values: made.weight })
    await write('conv1_1.bias', { first: 0, values: made.bias })
  }
}

/** The error for a file in the hub's cache that has changed since it was fetched. */
async function damaged({ path: link, name, sha256 }: LocalFile, found: string): Promise<VggError> {
  const cure = `remove ${await realpath(link)}, and it is fetched again`
  return new VggError(
    'HASH_MISMATCH',
    `Expected ${name} with the hash ${sha256} but the cached file has ${found}: ${cure}`,
  )
}
