import { type FileHandle, open, stat } from 'node:fs/promises'
import { VggError } from '../error.js'
import { checkClassNames } from '../network/arguments.js'
import { checkedLayers } from '../network/check.js'
import { endsOf, type Layer, type Parameter, parametersOf } from '../network/layer.js'
import { Network, type NetworkOptions } from '../network/network.js'
import { type RunOptions, runChecks } from '../network/open.js'
import { arrayOf, filePath, instanceOf, isObject, readOptions, text, unexpected } from '../options.js'
import { shapeText, Tensor, valuesOf } from '../tensor.js'
import type { VggConfiguration } from '../vgg/layers.js'
import { layersOf, VGG, type VggOptions } from '../vgg/vgg.js'
import { systemCode, writeAtomically } from './atomic-file.js'
import {
  type Contents,
  type Entry,
  encodeHeader,
  headerLength,
  lengthBytes,
  parseHeader,
  type TensorInfo,
  tensorBytes,
} from './safetensors.js'

const format = 'vggnet'
const version = '1'

/** The options that make a model again, without its weights: `VGG.create` takes them, or `Network.create`. */
type Model =
  | ({ readonly kind: 'VGG' } & Pick<VggOptions, 'classNames'> & VggConfiguration)
  | ({ readonly kind: 'Network' } & Pick<NetworkOptions, 'classNames' | 'layers'>)

function modelOf(network: Network): Model {
  const { classNames } = network
  if (network instanceof VGG) return { kind: 'VGG', ...network.configuration, classNames }
  return { kind: 'Network', layers: network.layers, classNames }
}

/** What the parameters were computed with: a record, which `load` does not go by. */
const runOf = ({ device, precision, deterministic }: Network) => ({ device, precision, deterministic })

/**
 * Saves a model: its parameters, configuration, mean RGB and scale, class names, and what device and precision it was
 * computed with, as a safetensors file. The
 * parameters are those at the call, whatever steps follow. Written to a temporary file beside it, synced and renamed:
 * when it fails, a file that was there before is as it was. Equal models on equal devices give
 * equal bytes.
 * @throws FILE_WRITE, DISPOSED, INVALID_ARGUMENT
 */
export async function save(network: Network, path: string): Promise<void> {
  const { parameters } = instanceOf(Network)(network, 'network')
  filePath(path, 'path')
  // all reads are made now, so that no later step comes between
  const values = await Promise.all(parameters.map(({ name }) => network.parameter(name)))
  const infos = parameters.map(({ name, shape }): TensorInfo => ({ name, dtype: 'F32', shape }))
  const metadata = { format, version, model: JSON.stringify(modelOf(network)), run: JSON.stringify(runOf(network)) }
  const { header, entries } = encodeHeader(infos, metadata)
  const data = new Map(parameters.map(({ name }, index) => [name, values[index]]))
  const parts = entries.map((entry) => {
    const tensor = data.get(entry.name)
    return tensorBytes(entry, tensor && valuesOf(tensor))
  })
  await writeAtomically(path, [header, ...parts])
}

/**
 * Loads a VGG net that `save` wrote. What may differ between runs is chosen anew.
 * @throws FILE_NOT_FOUND, FILE_FORMAT for a file that is damaged or of something else, and what `VGG.create` throws
 */
export async function load(path: string, options: RunOptions = {}): Promise<VGG> {
  const network = await loadNetwork(path, options)
  if (network instanceof VGG) return network
  network.dispose()
  throw new VggError('FILE_FORMAT', `${path}: Expected a VGG net but found a network of other layers; use loadNetwork`)
}

/** As `load`, for any network that `save` wrote: a `VGG` when it was one. */
export async function loadNetwork(path: string, options: RunOptions = {}): Promise<Network> {
  readOptions(options, 'load options', runChecks)
  const handle = await opened(filePath(path, 'path'))
  try {
    const { contents, start } = await readHeader(handle)
    const model = readModel(contents.metadata)
    checkEntries(contents.tensors, parametersOf(layersOfModel(model)))
    const network = await create(model, options)
    await readParameters(network, handle, start, contents.tensors)
    return network
  } catch (error) {
    throw named(error, path)
  } finally {
    await handle.close()
  }
}

function named(error: unknown, path: string): unknown {
  if (!(error instanceof VggError) || error.code !== 'FILE_FORMAT') return error
  return new VggError('FILE_FORMAT', `${path}: ${error.message}`, { cause: error })
}

async function opened(path: string): Promise<FileHandle> {
  try {
    // before opening, which waits for a writer when the path is a pipe
    if (!(await stat(path)).isFile()) throw new VggError('FILE_FORMAT', `${path} is not a file`)
    return await open(path, 'r')
  } catch (cause) {
    if (cause instanceof VggError) throw cause
    const missing = systemCode(cause) === 'ENOENT' || systemCode(cause) === 'ENOTDIR'
    const message = missing ? `There is no file ${path}` : `Could not open ${path}: ${(cause as Error).message}`
    throw new VggError('FILE_NOT_FOUND', message, { cause })
  }
}

async function readBytes(handle: FileHandle, position: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length)
  let filled = 0
  while (filled < length) {
    const { bytesRead } = await handle.read(bytes, filled, length - filled, position + filled)
    if (bytesRead === 0)
      throw new VggError('FILE_FORMAT', `The file ended at byte ${position + filled} while being read`)
    filled += bytesRead
  }
  return bytes
}

async function readHeader(handle: FileHandle): Promise<{ contents: Contents<Entry>; start: number }> {
  const { size } = await handle.stat()
  const length = headerLength(await readBytes(handle, 0, Math.min(size, lengthBytes)), size)
  const start = lengthBytes + length
  return { contents: parseHeader(await readBytes(handle, lengthBytes, length), size - start), start }
}

function readModel(metadata: Readonly<Record<string, string>>): Model {
  if (metadata.format !== format) {
    const other = metadata.format === undefined ? 'no format' : `the format '${metadata.format}'`
    throw new VggError('FILE_FORMAT', `Expected a model of vggnet, but the metadata names ${other}`)
  }
  if (metadata.version !== version) {
    const message = `Expected version ${version} of the format but found ${metadata.version}; it needs another vggnet`
    throw new VggError('FILE_FORMAT', message)
  }
  try {
    const model: unknown = JSON.parse(metadata.model ?? '')
    // refuses whatever is not right in it
    layersOfModel(model)
    return model as Model
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new VggError('FILE_FORMAT', `The description of the model is not valid: ${reason}`, { cause })
  }
}

function layersOfModel(model: unknown): readonly Layer[] {
  if (!isObject(model)) throw unexpected('an object', 'model', model)
  const { kind, ...options } = model
  if (kind === 'VGG') return layersOf(options as unknown as VggOptions)
  if (kind !== 'Network') throw unexpected('VGG or Network', 'kind', kind)
  const { layers, classNames } = readOptions(options, 'model', { layers: checkedLayers, classNames: arrayOf(text) })
  checkClassNames(classNames, endsOf(layers).classes)
  return layers
}

async function create(model: Model, run: RunOptions): Promise<Network> {
  if (model.kind === 'VGG') {
    const { kind, ...options } = model
    return VGG.create({ ...options, ...run, initialisation: 'none' })
  }
  const { kind, ...options } = model
  return Network.create({ ...options, ...run, initialisation: 'none' })
}

function checkEntries(entries: readonly Entry[], parameters: readonly Parameter[]): void {
  const found = new Map(entries.map((entry) => [entry.name, entry]))
  for (const { name, shape } of parameters) {
    const entry = found.get(name)
    const expected = `Expected ${name} as F32 ${shapeText(shape)}`
    if (entry === undefined) throw new VggError('FILE_FORMAT', `${expected}, but it is missing`)
    if (entry.dtype !== 'F32' || shapeText(entry.shape) !== shapeText(shape)) {
      throw new VggError('FILE_FORMAT', `${expected} but found ${entry.dtype} ${shapeText(entry.shape)}`)
    }
    found.delete(name)
  }
  const [other] = found.keys()
  if (other !== undefined) throw new VggError('FILE_FORMAT', `Found ${other}, which the described network has not`)
}

async function readParameters(
  network: Network,
  handle: FileHandle,
  start: number,
  entries: readonly Entry[],
): Promise<void> {
  try {
    for (const entry of entries) {
      const bytes = await readBytes(handle, start + entry.begin, entry.end - entry.begin)
      await network.setParameter(entry.name, Tensor.from(new Float32Array(bytes.buffer), entry.shape))
    }
  } catch (error) {
    network.dispose()
    throw error
  }
}
