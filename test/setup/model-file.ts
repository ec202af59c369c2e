import { withChecksums } from '../../lib/checkpoint/checksum.js'
import { encode, type NamedTensor } from '../../lib/checkpoint/safetensors.js'

type Metadata = Readonly<Record<string, string>>

const withoutChecksums = ({ checksum: _, checksums: __, headerChecksum: ___, ...rest }: Metadata): Metadata => rest

/** The bytes of a file with checksums that agree with its content, whatever that is. */
export async function sealed(tensors: readonly NamedTensor[], metadata: Metadata): Promise<Uint8Array> {
  const data = new Map(tensors.map((tensor) => [tensor.name, tensor.data]))
  return Buffer.concat(await withChecksums(tensors, data, withoutChecksums(metadata)))
}

/** The bytes of a model as an older vggnet wrote it: without checksums. */
export const unsealed = (tensors: readonly NamedTensor[], metadata: Metadata): Uint8Array =>
  encode(tensors, withoutChecksums(metadata))
