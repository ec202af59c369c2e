import { writeAtomically } from '../files/atomic-file.js'
import { Network } from '../network/network.js'
import { type RunOptions, runChecks } from '../network/open.js'
import { filePath, instanceOf, readOptions } from '../options.js'
import { Tensor, valuesOf } from '../tensor.js'
import type { VGG } from '../vgg/vgg.js'
import { encodeWithChecksums } from './checksum.js'
import { createModel, modelOf, vggModel } from './model.js'
import { useModel, warn } from './model-folder.js'
import { format, type OpenFile, TensorReader, versions, withFile } from './open-file.js'
import type { TensorInfo } from './safetensors.js'

/** How the parameters were computed: a record that `load` ignores. */
const runOf = ({ device, precision, deterministic }: Network) => ({ device, precision, deterministic })

/**
 * Saves a model as a safetensors file with checksums: its parameters, configuration, mean RGB and scale, class names, and
 * the device and precision that it was computed with. The parameters are those at the time of the call, whatever steps
 * follow. The file is written to a temporary file, synced and renamed: on failure, an existing file is not changed. Equal
 * models on equal devices give equal bytes.
 * @throws FILE_WRITE, DISPOSED, INVALID_ARGUMENT
 */
export async function save(network: Network, path: string): Promise<void> {
  const { parameters } = instanceOf(Network)(network, 'network')
  filePath(path, 'path')
  // all reads are queued now, before any later step
  const reads = parameters.map(async ({ name }) => [name, valuesOf(await network.parameter(name))] as const)
  const infos = parameters.map(({ name, shape }): TensorInfo => ({ name, dtype: 'F32', shape }))
  const model = JSON.stringify(modelOf(network))
  const metadata = { format, version: versions.model, model, run: JSON.stringify(runOf(network)) }
  const data = new Map(await Promise.all(reads))
  await writeAtomically(path, await encodeWithChecksums(infos, data, metadata))
}

/**
 * Loads a VGG net from a file written by `save`, or from a checkpoint of a training. `options` replace the device, precision,
 * seed, ... of the run in which it was saved. The file is verified by its checksums while it is read. Models of older
 * versions have no checksums: they are loaded with a process warning (`process.on('warning')`, name `VggFileWarning`).
 * @param path a file; or the folder of a run or of checkpoints, for its best model: that of the best validation accuracy,
 *   else the last one. A damaged file is skipped for the next one, with a process warning.
 * @throws FILE_NOT_FOUND, FILE_FORMAT if the file is damaged or not a VGG net, and the errors of `VGG.create`
 */
export async function load(path: string, options: RunOptions = {}): Promise<VGG> {
  return loadFile(path, options, (file) => createModel(vggModel(file.model, 'loadNetwork'), options))
}

/**
 * Loads any network from a file written by `save`, see `load`.
 * @returns a `VGG` if the saved network was one
 * @throws FILE_NOT_FOUND, FILE_FORMAT if the file is damaged, and the errors of `Network.create`
 */
export async function loadNetwork(path: string, options: RunOptions = {}): Promise<Network> {
  return loadFile(path, options, (file) => createModel(file.model, options))
}

async function loadFile<N extends Network>(
  path: string,
  options: RunOptions,
  create: (file: OpenFile) => Promise<N>,
): Promise<N> {
  readOptions(options, 'load options', runChecks)
  const read = async (file: OpenFile): Promise<N> => {
    const network = await create(file)
    await filled(network, () => readParameters(network, file))
    if (file.checksums.covers === 'nothing') {
      warn(`${path} has no checksums and could not be verified; save writes a model with them`)
    }
    return network
  }
  return useModel(filePath(path, 'path'), (file) => withFile(file, read))
}

/** Awaits `fill` and returns its result. If it fails, the network is disposed of. */
export async function filled<T>(network: Network, fill: () => Promise<T>): Promise<T> {
  try {
    return await fill()
  } catch (error) {
    network.dispose()
    throw error
  }
}

async function readParameters(network: Network, file: OpenFile): Promise<void> {
  const reader = new TensorReader(file)
  for (const entry of file.tensors) {
    if (file.parameters.has(entry)) {
      const { buffer } = await reader.read(entry)
      await network.setParameter(entry.name, Tensor.from(new Float32Array(buffer), entry.shape))
    } else {
      await reader.skip(entry)
    }
  }
}
