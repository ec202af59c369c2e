import { contentText } from '../../data/images/formats.js'
import { VggError } from '../../error.js'
import { ByteFile } from './byte-file.js'
import { isCaffe, openCaffe } from './caffe.js'
import { openHdf5 } from './hdf5.js'
import { openSafetensors } from './safetensors.js'
import { isTorch, openTorch } from './torch.js'
import type { Container, WeightFile } from './weight-file.js'

/** A container of weights: how its files are recognised, and what opens them. */
interface ContainerRow {
  readonly container: Container
  /** Whether a file begins so; `head` are its first 1000 bytes as Latin-1 text. */
  recognise(head: string): boolean
  open(path: string): Promise<WeightFile>
}

const rows: readonly ContainerRow[] = [
  // a header of JSON follows its length
  { container: 'safetensors', recognise: (head) => head[8] === '{', open: openSafetensors },
  { container: 'torch', recognise: isTorch, open: openTorch },
  { container: 'hdf5', recognise: (head) => head.startsWith('\x89HDF\r\n\x1a\n'), open: openHdf5 },
  { container: 'caffe', recognise: isCaffe, open: openCaffe },
]

/** Ends of the names that programs give to a file while they download it. */
const unfinished = /\.(part|partial|incomplete|crdownload|download|aria2|tmp)$/i

/**
 * Opens a file of weights. Its container is recognised by its content, not by its name.
 * @throws FILE_NOT_FOUND; FILE_FORMAT, prefixed by the path, with what it is and what to do
 */
export async function openWeightFile(path: string): Promise<WeightFile> {
  try {
    const head = await ByteFile.read(path, headOf)
    const row = rows.find(({ recognise }) => recognise(head.toString('latin1')))
    if (row !== undefined) return await row.open(path)
    const content = contentText(head) ?? `of another kind: it begins with ${head.subarray(0, 8).toString('hex')}`
    throw new VggError('FILE_FORMAT', `Expected weights (safetensors, PyTorch, HDF5 or Caffe), but it is ${content}`)
  } catch (cause) {
    if (!(cause instanceof VggError) || cause.code !== 'FILE_FORMAT') throw cause
    const cut = unfinished.test(path)
      ? '; its name is that of an unfinished download: finish it, or download it again'
      : ''
    throw new VggError('FILE_FORMAT', `${path}: ${cause.message}${cut}`, { cause })
  }
}

async function headOf(file: ByteFile): Promise<Buffer> {
  const head = await file.head()
  await file.close()
  return head
}
