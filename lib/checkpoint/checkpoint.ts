import { writeAtomically } from '../files/atomic-file.js'
import { Network } from '../network/network.js'
import { filePath, instanceOf } from '../options.js'
import { valuesOf } from '../tensor.js'
import { encodeWithChecksums } from './checksum.js'
import { modelOf } from './model.js'
import { format, versions } from './open-file.js'
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

/** Awaits `fill` and returns its result. If it fails, the network is disposed of. */
export async function filled<T>(network: Network, fill: () => Promise<T>): Promise<T> {
  try {
    return await fill()
  } catch (error) {
    network.dispose()
    throw error
  }
}
