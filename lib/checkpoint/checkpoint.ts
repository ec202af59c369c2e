import { VggError } from '../error.js'
import { writeAtomically } from '../files/atomic-file.js'
import { Network } from '../network/network.js'
import { type RunOptions, runChecks } from '../network/open.js'
import { filePath, instanceOf, readOptions } from '../options.js'
import { Tensor, valuesOf } from '../tensor.js'
import { VGG } from '../vgg/vgg.js'
import { encodeWithChecksums } from './checksum.js'
import { createModel, modelOf } from './model.js'
import { format, type OpenFile, versions, withFile } from './open-file.js'
import type { TensorInfo } from './safetensors.js'
import { TensorReader } from './tensor-reader.js'

/** What the parameters were computed with: a record, which `load` does not go by. */
const runOf = ({ device, precision, deterministic }: Network) => ({ device, precision, deterministic })

/**
 * Saves a model: its parameters, configuration, mean RGB and scale, class names, and what device and precision it was
 * computed with, as a safetensors file with checksums of all of this. The parameters are those at the call, whatever steps
 * follow. Written to a temporary file beside it, synced and renamed: when it fails, a file that was there before is as it
 * was. Equal models on equal devices give equal bytes.
 * @throws FILE_WRITE, DISPOSED, INVALID_ARGUMENT
 */
export async function save(network: Network, path: string): Promise<void> {
  const { parameters } = instanceOf(Network)(network, 'network')
  filePath(path, 'path')
  // all reads are made now, so that no later step comes between
  const reads = parameters.map(async ({ name }) => [name, valuesOf(await network.parameter(name))] as const)
  const infos = parameters.map(({ name, shape }): TensorInfo => ({ name, dtype: 'F32', shape }))
  const model = JSON.stringify(modelOf(network))
  const metadata = { format, version: versions.model, model, run: JSON.stringify(runOf(network)) }
  const data = new Map(await Promise.all(reads))
  await writeAtomically(path, await encodeWithChecksums(infos, data, metadata))
}

/**
 * Loads a VGG net that `save` wrote, or that of a checkpoint of a training. What may differ between runs is chosen anew.
 * The file is verified by its checksums while it is read. A model of an older vggnet has none: it is loaded, and a
 * warning of the process (`process.on('warning')`, name `VggFileWarning`) says that it could not be verified.
 * @throws FILE_NOT_FOUND, FILE_FORMAT for a file that is damaged or of something else, and what `VGG.create` throws
 */
export async function load(path: string, options: RunOptions = {}): Promise<VGG> {
  return asVgg(await loadNetwork(path, options), path, 'loadNetwork')
}

/** The network if it is a VGG net; `otherwise` is the function that takes any network. @throws FILE_FORMAT */
export function asVgg(network: Network, path: string, otherwise: string): VGG {
  if (network instanceof VGG) return network
  network.dispose()
  throw noVgg(`${path}: `, `; use ${otherwise}`)
}

/** The error for a file with a network of other layers than those of a VGG net. */
export const noVgg = (before = '', after = ''): VggError =>
  new VggError('FILE_FORMAT', `${before}Expected a VGG net but found a network of other layers${after}`)

/** As `load`, for any network that `save` wrote: a `VGG` when it was one. */
export async function loadNetwork(path: string, options: RunOptions = {}): Promise<Network> {
  readOptions(options, 'load options', runChecks)
  return withFile(filePath(path, 'path'), async (file) => {
    const network = await createModel(file.model, options)
    await filled(network, (into) => readParameters(into, file))
    if (file.checksums.covers === 'nothing') {
      warn(`${path} has no checksums and could not be verified; save writes a model with them`)
    }
    return network
  })
}

/** The network, once `fill` is done; disposed of when that fails. */
export async function filled(network: Network, fill: (network: Network) => Promise<void>): Promise<Network> {
  try {
    await fill(network)
    return network
  } catch (error) {
    network.dispose()
    throw error
  }
}

/** A warning of the process about a file, which `vggnet` prints on stderr. */
export const warn = (message: string): void => process.emitWarning(message, 'VggFileWarning')

async function readParameters(network: Network, file: OpenFile): Promise<void> {
  const reader = new TensorReader(file)
  for (const entry of file.tensors) {
    if (file.parameters.has(entry)) {
      const { buffer } = await reader.read(entry)
      await network.setParameter(entry.name, Tensor.from(new Float32Array(buffer), entry.shape))
    } else {
      await reader.pass(entry)
    }
  }
}
