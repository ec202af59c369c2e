// The works of test/safety/faults.test.ts: what a process does with files.
import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { save } from '../../lib/checkpoint/checkpoint.js'
import { createProgram } from '../../lib/cli/program.js'
import { cachedDataset } from '../../lib/data/cache/cache.js'
import type { Dataset } from '../../lib/data/dataset.js'
import { readCifar } from '../../lib/data/sources/cifar.js'
import { readFolder } from '../../lib/data/sources/folder.js'
import { readList } from '../../lib/data/sources/list.js'
import { photoDataset } from '../../lib/data/sources/photo-dataset.js'
import { VggError } from '../../lib/error.js'
import { readRunLog } from '../../lib/report/log-line.js'
import { readRunFile, runFiles } from '../../lib/run/folder.js'
import { createRun, runAll } from '../../lib/run/run.js'
import { valuesOf } from '../../lib/tensor.js'
import { loadNewestTraining } from '../../lib/train/load-training.js'
import type { VGG } from '../../lib/vgg/vgg.js'
import { load } from '../../lib/weights/load.js'
import { root } from '../setup/command.js'
import { writePhotos } from '../setup/photos.js'
import { runDescription } from '../setup/run-description.js'
import { writeStripes } from '../setup/stripe-files.js'
import { smallNet } from '../setup/stripes.js'

/** Something that a process does with the files of a folder. */
export interface Work {
  /** Writes into an empty folder what is there before. */
  before(folder: string): Promise<void>
  /** Does it, or what is left of it. @returns what it found, as text; equal for equal files */
  act(folder: string): Promise<string>
  /** Removes what keeps it from being done again. */
  again?(folder: string): void
  /** Whether doing it again removes what was left unfinished. */
  readonly tidies?: true
}

const hash = (...parts: readonly (string | Uint8Array)[]): string => {
  const sum = createHash('sha256')
  for (const part of parts) sum.update(part)
  return sum.digest('hex')
}

async function hashOf(net: VGG): Promise<string> {
  const values = await Promise.all(net.parameters.map(async ({ name }) => valuesOf(await net.parameter(name))))
  net.dispose()
  return hash(...values.map(({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength)))
}

/** `vggnet` with these words, in this process. @returns what it printed, without times */
async function vggnet(...words: string[]): Promise<string> {
  const { log, error } = console
  const lines: string[] = []
  console.log = (line: string) => void lines.push(line)
  console.error = () => undefined
  try {
    await createProgram().parseAsync(['node', 'vggnet', ...words])
  } finally {
    Object.assign(console, { log, error })
  }
  return lines.filter((line) => !/images\/s/.test(line)).join('\n')
}

const imagesOf = (folder: string) => [
  '--images',
  path.join(folder, 'images'),
  '--labels',
  path.join(folder, 'images-labels'),
]
const small = '--width 0.0625 --head-width 8 --initialisation he --threads 1 --device cpu --no-check --batch 8'.split(
  ' ',
)
const often = '--learning-rate 0.02 --schedule constant --seed 4 --split 0.25 --epochs 2'.split(' ')

/** `vggnet train`, or `vggnet train --resume` where there is a run. */
async function trained(folder: string, ...more: string[]): Promise<string> {
  const run = path.join(folder, 'run')
  if (existsSync(runFiles(run).description)) await vggnet('train', '--resume', run)
  else await vggnet('train', ...imagesOf(folder), ...small, ...often, ...more, '--out', run)
  return ''
}

const writeImages = async (folder: string): Promise<void> => void (await writeStripes(folder, 'images', 20, 3))

/** A run that was stopped after its third step. */
async function stopped(folder: string): Promise<void> {
  const [run, stop] = [path.join(folder, 'run'), new AbortController()]
  const data = await writeStripes(folder, 'images', 20, 3)
  const model = {
    variant: 'A',
    width: 0.0625,
    headWidth: 8,
    initialisation: 'he',
    imageSize: [32, 32],
    channels: 1,
  } as const
  const training = { ...runDescription({ data, model }).training, epochs: 3, batch: 8 }
  const file = await createRun(run, {
    format: 1,
    vggnet: '0.1.0',
    description: runDescription({ data, model, training }),
  })
  const onStep = ({ step }: { step: number }) => void (step === 3 && stop.abort())
  await runAll(run, file, { onStep, signal: stop.signal }).catch((error) => {
    if (!stop.signal.aborted) throw error
  })
}

const photoNames = ['a/1.png', 'a/2.jpg', 'a/3.png', 'b/1.png', 'b/2.webp', 'b/3.jpg']
const writeImageFiles = (folder: string): Promise<void> => writePhotos(path.join(folder, 'photos'), photoNames)

/** All images of a dataset. @throws FILE_FORMAT for an image that cannot be read, as in a training */
async function pixelsOf(data: Dataset): Promise<Uint8Array> {
  const pixels = new Uint8Array(data.count * data.height * data.width * data.channels)
  const [failure] = await data.read(
    Int32Array.from({ length: data.count }, (_, index) => index),
    pixels,
  )
  if (failure !== undefined) throw new VggError('FILE_FORMAT', failure.reason)
  return pixels
}

const options = { crop: 32, smallestSide: 36 } as const

const golden = (name: string): string => path.join(root, 'test/golden/foreign', name)
const foreign = [
  'torchvision-A-tar.pth',
  'torchvision-A-half.pth',
  'torchvision-D-stream.pth',
  'timm-A.safetensors',
  'keras-D.weights.h5',
  'keras-D-old.h5',
  'caffe-face.caffemodel',
]

const one = await smallNet({ seed: 1, threads: 1 })
const other = await smallNet({ seed: 2, threads: 1 })

export const works: Readonly<Record<string, Work>> = {
  save: {
    before: (folder) => save(one, path.join(folder, 'model')),
    act: async (folder) => {
      await save(other, path.join(folder, 'model'))
      return ''
    },
  },
  train: { before: writeImages, act: (folder) => trained(folder), tidies: true },
  resume: { before: stopped, act: (folder) => trained(folder), tidies: true },
  'frozen features': {
    before: writeImages,
    act: (folder) => trained(folder, '--freeze', 'convolutions'),
    tidies: true,
  },
  cache: {
    before: writeImageFiles,
    act: async (folder) => {
      const { training } = await readFolder(path.join(folder, 'photos'))
      const data = cachedDataset(training, { ...options, cache: path.join(folder, 'cache') })
      await data.prepare()
      return hash(await pixelsOf(data), await pixelsOf(data))
    },
  },
  import: {
    before: async (folder) => copyFileSync(golden('torchvision-A-tar.pth'), path.join(folder, 'weights.pth')),
    act: (folder) => vggnet('import', path.join(folder, 'weights.pth'), '--out', path.join(folder, 'model')),
    again: (folder) => rmSync(path.join(folder, 'model'), { force: true }),
  },
  report: {
    before: async (folder) => {
      await writeImages(folder)
      await trained(folder)
    },
    act: (folder) => vggnet('report', path.join(folder, 'run'), '--device', 'cpu'),
  },
  'load a run': {
    before: async (folder) => {
      await writeImages(folder)
      await trained(folder)
    },
    act: async (folder) => {
      const run = path.join(folder, 'run')
      const { model, best, checkpoints, log } = runFiles(run)
      const networks = [await hashOf(await load(model)), await hashOf(await load(best)), await hashOf(await load(run))]
      const newest = await loadNewestTraining(checkpoints)
      const { passedOver = [], step, net } = newest ?? {}
      for (const { path: file, reason } of passedOver) process.emitWarning(`${file}: ${reason}`, 'VggFileWarning')
      if (net !== undefined) networks.push(await hashOf(net))
      const read = [await readRunFile(run), await readRunLog(log), step]
      return hash(...networks, JSON.stringify(read), await vggnet('evaluate', run, '--device', 'cpu'))
    },
  },
  'load weights': {
    before: async (folder) => {
      for (const name of foreign) copyFileSync(golden(name), path.join(folder, name))
    },
    act: async (folder) => {
      const found: string[] = []
      for (const name of foreign) found.push(await hashOf(await load(path.join(folder, name))))
      return hash(...found)
    },
  },
  'read images': {
    before: async (folder) => {
      await writeImageFiles(folder)
      const rows = photoNames.map((name) => `photos/${name},${path.dirname(name)}`)
      writeFileSync(path.join(folder, 'list.csv'), ['path,label', ...rows, ''].join('\n'))
      writeFileSync(path.join(folder, 'data_batch_1.bin'), Buffer.alloc(2 * 3073, 7))
    },
    act: async (folder) => {
      const found = await readFolder(path.join(folder, 'photos'))
      const listed = await readList(path.join(folder, 'list.csv'))
      const cifar = await readCifar(path.join(folder, 'data_batch_1.bin'))
      const data = [photoDataset(found.training, options), photoDataset(listed.training, options), cifar]
      const labels = data.map(({ labels }) => labels.join())
      return hash(...labels, ...(await Promise.all(data.map(pixelsOf))))
    },
  },
}

/** A line of a log without what another run of the same training writes otherwise. */
const logLine = (text: string): string =>
  JSON.stringify({ ...JSON.parse(text), time: 0, seconds: 0, imagesPerSecond: 0, command: '' })

const readers: readonly (readonly [RegExp, (file: string) => string])[] = [
  // the time at which it was made
  [
    /\.html$/,
    (file) => readFileSync(file, 'utf8').replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z|\d{4}-\d\d-\d\d \d\d:\d\d UTC/g, ''),
  ],
  [
    /log\.jsonl$/,
    (file) =>
      readFileSync(file, 'utf8')
        .trim()
        .split('\n')
        .filter((line) => !/"event":"(resume|checkpoint)"/.test(line))
        .map(logLine)
        .join('\n'),
  ],
]

/** Whether a file is one that its writer has not finished. */
export const isUnfinished = (name: string): boolean => /\.(tmp|unfinished)$|\.lock\./.test(name)

/** Files that need not be those of an undisturbed work: events, shards, what was set aside. */
const isFree = (name: string): boolean => /tfevents|^cache\/|\.left$/.test(name) || isUnfinished(name)

/** What a work has left in its folder, by name: the content, or a hash of it. */
export function leftIn(folder: string): Map<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
    .filter((name) => !isFree(name))
    .sort()
  const steps = files.filter((name) => /\/step-\d+\.safetensors$/.test(name))
  const kept = files.filter((name) => !steps.slice(0, -1).includes(name))
  return new Map(
    kept.map((name) => {
      const [, read = (file: string) => hash(readFileSync(file))] = readers.find(([names]) => names.test(name)) ?? []
      return [name, read(path.join(folder, name))]
    }),
  )
}

/** An empty folder. */
export function emptied(folder: string): string {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  return folder
}
