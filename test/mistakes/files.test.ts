import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { gzipSync } from 'node:zlib'
import { readIdx } from '../../lib/data/sources/idx.js'
import { load, readCifar, readImage, readList } from '../../lib/index.js'
import { newFolder } from '../setup/folder.js'
import { type ProgramMistake, programMistakes } from './mistake.js'

/** A zip archive whose first entry has this name. */
const zipOf = (name: string): Buffer =>
  Buffer.from(`PK\x03\x04${'\0'.repeat(22)}${String.fromCharCode(name.length)}\0\0\0${name}`)

const lfs = Buffer.from('version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 553433881\n')
const html = Buffer.from('\n<!DOCTYPE html>\n<html><body>404: Not Found</body></html>')
const png = Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex')

const readers = {
  load,
  readIdx,
  readCifar,
  readImage: (file: string) => readImage(file, { height: 32, width: 32, channels: 3 }),
  readList,
}

/** Files that are something else than their name says, by who reads them. */
const wrongContents: readonly (readonly [keyof typeof readers, file: string, Buffer, problem: string, cure: string])[] =
  [
    ['load', 'vgg16.pth', zipOf('archive/data.pkl'), 'PyTorch checkpoint (zip)', 'docs/from-pytorch.md'],
    [
      'load',
      'vgg16.pt',
      Buffer.from('80028a0a6cfc9c46f9206aa850192e', 'hex'),
      'PyTorch checkpoint (pickle)',
      'docs/from-pytorch.md',
    ],
    ['load', 'vgg16.h5', Buffer.from('\x89HDF\r\n\x1a\n\0\0', 'latin1'), 'HDF5', 'docs/from-pytorch.md'],
    ['load', 'vgg16.npz', zipOf('conv1_1.npy'), 'NumPy archive (npz)', 'arrayDataset'],
    ['load', 'vgg16.npy', Buffer.from('\x93NUMPY\x01\0', 'latin1'), 'NumPy array (npy)', 'arrayDataset'],
    ['load', 'vgg16.onnx', Buffer.from('\x08\x07\x12\x07pytorch\x1a\x03'), 'ONNX', 'docs/from-pytorch.md'],
    ['load', 'vgg16.safetensors', html, 'HTML page', 'download the file again'],
    ['load', 'vgg16.safetensors', lfs, 'Git LFS pointer', "'git lfs pull'"],
    ['load', 'vgg16.safetensors.gz', gzipSync('{}'), 'compressed with gzip', 'gunzip'],
    ['load', 'model.safetensors', Buffer.alloc(0), 'empty', 'download it again'],
    ['load', 'run.json', Buffer.from('{\n  "format": 1\n}'), 'JSON', 'a model of vggnet (safetensors)'],
    ['load', 'cat.png', png, 'PNG image', 'a model of vggnet (safetensors)'],
    ['readImage', 'cat.jpg', html, 'HTML page', 'download the file again'],
    ['readImage', 'cat.jpg', lfs, 'Git LFS pointer', "'git lfs pull'"],
    ['readImage', 'cat.jpg', Buffer.from('BM\x36\x30\0\0\0\0\0\0'), 'BMP image', 'convert it to PNG or JPEG'],
    ['readImage', 'cat.jpg', Buffer.from('\0\0\0\x1cftypheic\0\0\0\0mif1'), 'HEIC image', 'convert it to JPEG'],
    ['readImage', 'cat.svg', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'), 'svg', '--formats jpeg,png'],
    ['readImage', 'photos.zip', zipOf('photos/'), 'zip archive', "'unzip'"],
    ['readIdx', 'train-images', html, 'HTML page', 'download the file again'],
    ['readIdx', 'train-images', png, 'PNG image', 'an IDX file'],
    [
      'readCifar',
      'data_batch_1.bin',
      Buffer.from('\x80\x02}q\x01(U\x0bbatch_label', 'latin1'),
      'Python pickle',
      'binary version',
    ],
    ['readCifar', 'data_batch_1.bin', lfs, 'Git LFS pointer', "'git lfs pull'"],
    ['readList', 'list.csv', zipOf('xl/workbook.xml'), 'zip archive', 'a list of images (text in UTF-8)'],
    ['readList', 'list.csv', html, 'HTML page', 'download the file again'],
    ['readList', 'list.csv', Buffer.from('\ufeffa.jpg,cat\n', 'utf16le'), 'UTF-16', 'save it in UTF-8'],
  ]

programMistakes(
  'the content of a file is not what its name says',
  wrongContents.map(([reader, name, bytes, problem, cure]): ProgramMistake => {
    return {
      name: `${reader} of ${name}: ${problem}`,
      make: () => {
        const file = path.join(newFolder(), name)
        writeFileSync(file, bytes)
        return readers[reader](file)
      },
      code: 'FILE_FORMAT',
      problem: [name, problem],
      cure: [cure],
    }
  }),
)
