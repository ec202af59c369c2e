import { writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import path from 'node:path'
import { gzipSync } from 'node:zlib'
import { readIdx } from '../../lib/data/sources/idx.js'
import { load, readCifar, readFolder, readImage, readList } from '../../lib/index.js'
import { readRunFile } from '../../lib/run/folder.js'
import { findSources } from '../../lib/run/sources.js'
import { newFolder, writeFiles } from '../setup/folder.js'
import { commandMistakes, type ProgramMistake, programMistakes } from './mistake.js'

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
    ['load', 'vgg16.pth', zipOf('archive/data.pkl'), 'zip archive is damaged', 'download it again'],
    ['load', 'vgg16.pth.part', zipOf('archive/data.pkl'), 'unfinished download', 'download it again'],
    ['load', 'vgg16.pt', Buffer.from('80028a0a6cfc9c46f9206aa850192e', 'hex'), 'truncated', 'download it again'],
    ['load', 'vgg16.h5', Buffer.from('\x89HDF\r\n\x1a\n\0\0', 'latin1'), 'HDF5', 'download it again'],
    ['load', 'vgg16.npz', zipOf('conv1_1.npy'), 'NumPy archive (npz)', 'arrayDataset'],
    ['load', 'vgg16.npy', Buffer.from('\x93NUMPY\x01\0', 'latin1'), 'NumPy array (npy)', 'arrayDataset'],
    ['load', 'vgg16.onnx', Buffer.from('\x08\x07\x12\x07pytorch\x1a\x03'), 'ONNX', 'give the .pth'],
    ['load', 'vgg16.gguf', Buffer.from('GGUF\x03\0\0\0'), 'GGUF', 'give the .safetensors'],
    ['load', 'vgg.index', Buffer.from('\0\0\x06\x08\x01\x1a\x02\x08\x01'), 'TensorFlow', 'model.save_weights'],
    ['load', 'checkpoint', Buffer.from('model_checkpoint_path: "vgg"\n'), 'TensorFlow', 'model.save_weights'],
    ['load', 'vgg16.pkl', Buffer.from('\x80\x04\x95\x10\0', 'latin1'), 'Python pickle', 'torch.save'],
    ['load', 'vgg16.safetensors', html, 'HTML page', 'download the file again'],
    ['load', 'vgg16.safetensors', lfs, 'Git LFS pointer', "'git lfs pull'"],
    ['load', 'vgg16.safetensors.gz', gzipSync('{}'), 'compressed with gzip', 'gunzip'],
    ['load', 'model.safetensors', Buffer.alloc(0), 'empty', 'download it again'],
    ['load', 'run.json', Buffer.from('{\n  "format": 1\n}'), 'JSON', 'weights (safetensors, PyTorch, HDF5 or Caffe)'],
    ['load', 'cat.png', png, 'PNG image', 'weights (safetensors, PyTorch, HDF5 or Caffe)'],
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

/** A mistake with a folder of images, which are empty files, because none is opened. */
const ofLayout = (
  name: string,
  files: readonly string[],
  [given, ...words]: readonly [given: string, problem: string, cure: string],
): ProgramMistake => ({
  name,
  make: () => {
    const folder = newFolder()
    writeFiles(folder, Object.fromEntries(files.map((file) => [file, ''])))
    return readFolder(path.join(folder, given))
  },
  code: 'FILE_FORMAT',
  problem: [words[0]],
  cure: [words[1]],
})

const photos = ['cat/1.jpg', 'cat/2.jpg', 'dog/1.jpg']
const inFolder = (folder: string, files = photos): string[] => files.map((file) => `${folder}/${file}`)

programMistakes('the folder of the images', [
  ofLayout('one level too high', inFolder('up/photos'), [
    'up',
    'found only photos',
    'up/photos has such sub-folders (cat, dog): give it',
  ]),
  ofLayout('two levels too high', inFolder('up/zip/photos'), [
    'up',
    'found only zip',
    'up/zip/photos has such sub-folders',
  ]),
  ofLayout(
    'above train/ and val/',
    [...inFolder('up/photos/train'), ...inFolder('up/photos/val')],
    ['up', 'photos has train/ and val/ itself', 'up/photos, or move train/ and val/ above the classes'],
  ),
  ofLayout(
    'train/ and val/ in each class',
    ['cat', 'dog'].flatMap((name) => [`${name}/train/1.jpg`, `${name}/val/1.jpg`]),
    ['.', 'cat has train/ and val/ itself', 'move train/ and val/ above the classes'],
  ),
  ofLayout('one level too low', photos, ['cat', 'has no sub-folder and 2 images', 'give that folder']),
  ofLayout(
    'parts of other names',
    [...inFolder('training_set'), ...inFolder('test_set')],
    ['.', 'test_set, training_set have the same classes', 'rename them to train and val'],
  ),
  ofLayout('no image', ['readme.md'], ['.', 'no sub-folder and no image', '(train/cat/1.jpg, val/cat/2.jpg)']),
  ofLayout(
    'no image in the classes',
    ['cat/1.xcf', 'dog/1.xcf'],
    ['.', 'found none', '2 other files have no extension of an image (.jpg'],
  ),
  ofLayout('one class', ['cat/1.jpg'], ['.', 'at least two classes, but found only cat', '(cat/1.jpg, dog/2.jpg)']),
  ofLayout('an empty class', [...photos, 'bird/.keep'], ['.', 'bird has none', '--empty-classes skip']),
  ofLayout('IDX files', ['train-images-idx3-ubyte.gz'], ['.', 'no image', '--images FILE --labels FILE']),
  ofLayout('a list in the folder', ['labels.csv', '1.txt'], ['.', 'no image', 'labels.csv']),
  ofLayout('CIFAR of Python', ['data_batch_1'], ['.', 'no image', 'the binary version']),
  ofLayout('an archive', ['photos.zip'], ['.', 'no image', 'photos.zip first']),
])

const home = path.join(homedir(), 'photos')
const missing = { code: 'FILE_NOT_FOUND' } as const

programMistakes('paths', [
  {
    name: 'a ~ that no shell expanded',
    make: () => readFolder('~/photos'),
    ...missing,
    problem: ["No folder at ~/photos; only a shell expands '~'"],
    cure: [`write ${home}`],
  },
  {
    name: 'a ~ before a model',
    make: () => load('~/photos'),
    ...missing,
    problem: ['no file ~/photos'],
    cure: [`write ${home}`],
  },
  {
    name: 'a ~ in the absolute path of a list',
    make: () => readList(path.resolve('~/photos/list.csv')),
    ...missing,
    problem: ["'~'"],
    cure: [`write ${home}/list.csv`],
  },
  {
    name: 'a pattern that matches nothing',
    make: () => readers.readImage('photos/*.jpg'),
    ...missing,
    problem: ['photos/*.jpg; no file matches this pattern'],
    cure: ['check the folder and the extension'],
  },
  {
    name: 'separators of Windows',
    make: () => readers.readImage('photos\\cat\\1.jpg'),
    ...missing,
    problem: ['photos\\cat\\1.jpg'],
    cure: ["separated by '/'"],
  },
  {
    name: 'a folder as a model',
    make: () => load(tmpdir()),
    code: 'FILE_NOT_FOUND',
    problem: ['has no model that can be used'],
    cure: ['a model, or the folder of a run or of checkpoints'],
  },
])

/** A mistake with the data of a run. */
const ofData = (name: string, file: string, content: Buffer, problem: string, cure: string): ProgramMistake => ({
  name,
  make: () => {
    const folder = newFolder()
    writeFileSync(path.join(folder, file), content)
    return findSources({ data: { kind: 'folder', path: path.join(folder, file) }, validation: 0, seed: 0 })
  },
  code: 'INVALID_ARGUMENT',
  problem: [file, problem],
  cure: [cure],
})

programMistakes('a file as the data of a run', [
  ofData(
    'an image',
    '1.jpg',
    Buffer.from([0xff, 0xd8]),
    'is a JPEG image',
    'Expected a folder of images or a list (.csv, .tsv)',
  ),
  ofData('an archive', 'photos.zip', zipOf('cat/1.jpg'), 'is a zip archive', "unpack it first with 'unzip'"),
  ofData('IDX', 'train-images-idx3-ubyte', Buffer.from([0, 0, 8, 3]), 'is an IDX file', '--images FILE --labels FILE'),
  ofData('packed IDX', 'train-images-idx3-ubyte.gz', gzipSync(''), 'compressed with gzip', '--images FILE'),
])

commandMistakes('paths on the command line', [
  {
    name: 'a path with a space',
    words: ['check', 'My', 'Photos'],
    code: 'INVALID_ARGUMENT',
    status: 2,
    problem: ["too many arguments for 'check'"],
    cure: ['Put a path with spaces in quotes', 'give the folder that holds them'],
  },
  {
    name: 'the empty value of a variable',
    words: ['check', ''],
    code: 'INVALID_ARGUMENT',
    status: 2,
    problem: ["'data'", 'an empty text'],
    cure: ['is a variable of the shell unset?'],
  },
  {
    name: 'a quoted ~ for a folder that would be made',
    words: ['train', 'photos', '--out=~/runs'],
    code: 'INVALID_ARGUMENT',
    status: 2,
    problem: ["'~/runs'", "did not expand '~'"],
    cure: [`write ${path.join(homedir(), 'runs')}`],
  },
])

/** The folder of a run with a checkpoint and a run.json of this content. */
function runOf(content = '{}'): string {
  const folder = newFolder()
  writeFiles(folder, { 'runs/1/run.json': content, 'runs/1/checkpoints/step-00000002.safetensors': '' })
  return folder
}

/** A mistake with the folder of a run. */
const ofRun = (name: string, given: string, problem: string, cure: readonly string[]): ProgramMistake => ({
  name,
  make: () => readRunFile(path.join(runOf(), given)),
  ...missing,
  problem: [problem],
  cure,
})

programMistakes('the folder of a run', [
  ofRun(
    'one of its checkpoints',
    'runs/1/checkpoints/step-00000002.safetensors',
    'step-00000002.safetensors is a file',
    ['it belongs to the run', 'runs/1;', '--from '],
  ),
  ofRun('the folder of its checkpoints', 'runs/1/checkpoints', 'checkpoints: it has no run.json', [
    'it belongs to the run',
    'runs/1',
  ]),
  ofRun('the folder of all runs', 'runs', 'runs: it has no run.json', ['there are runs in it', 'runs/1']),
  ofRun('a misspelt folder', 'run/1', 'There is no folder', ['run/1']),
  {
    name: 'a run.json of a later format',
    make: () => readRunFile(path.join(runOf('{ "format": 2, "vggnet": "9.8.7", "description": {} }'), 'runs/1')),
    code: 'FILE_FORMAT',
    problem: ['run.json: Expected format 1, which vggnet ', 'found 2, written by vggnet 9.8.7'],
    cure: ['install vggnet 9.8.7'],
  },
])
