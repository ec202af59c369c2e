import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { gzipSync } from 'node:zlib'
import type { Dataset } from '../../lib/data/dataset.js'
import {
  cachedDataset,
  idxDataset,
  load,
  loadTraining,
  readCifar,
  readList,
  readRunLog,
  save,
  train,
  type VGG,
} from '../../lib/index.js'
import { keptIn, tunedMachine } from '../../lib/platform/kept-tuning.js'
import { native } from '../../lib/platform/native.js'
import type { Random } from '../../lib/random.js'
import { RunLog } from '../../lib/report/run-log.js'
import { readRunFile, trainingsOf, writeRunFile } from '../../lib/run/folder.js'
import { encodeState } from '../../lib/train/training-state.js'
import { smallNet as plainNet } from '../network/small.js'
import { root } from '../setup/command.js'
import { idxBytes } from '../setup/idx-bytes.js'
import { mutatedBytes, mutatedJson } from '../setup/mutations.js'
import { runDescription } from '../setup/run-description.js'
import { smallNet, stripes } from '../setup/stripes.js'
import {
  type Mutated,
  mutatedLog,
  mutatedOwn,
  mutatedShard,
  mutatedText,
  near,
  orHeader,
  pickled,
  shardImages,
  unsealed,
} from './mutated-files.js'

/** A format of files: whole ones, what is done to them, and what reads them. */
export interface Format {
  readonly name: string
  /** How many of a thousand cases are of this format. */
  readonly share: number
  readonly files: readonly Uint8Array[]
  /** Whether checksums cover all of a file: a change is refused, or changes nothing that is read. */
  readonly isVerified: boolean
  mutate(random: Random, file: Uint8Array): Mutated | Promise<Mutated>
  /** Reads a file with the functions that users call. @returns what was read, as a text; @throws VggError */
  read(file: string, random: Random): Promise<string>
}

const here = { device: 'cpu', threads: 1 } as const
const sha = (...parts: (string | Uint8Array)[]): string => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest('hex')
}
const foreign = (name: string): Uint8Array => readFileSync(path.join(root, 'test/golden/foreign', name))

async function contentOfNet(net: VGG): Promise<string> {
  try {
    const values = await Promise.all(net.parameters.map(async ({ name }) => (await net.parameter(name)).data()))
    const bytes = values.map(({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength))
    return sha(JSON.stringify([net.configuration, net.classNames]), ...bytes)
  } finally {
    net.dispose()
  }
}

const trainingOptions = { batch: 8, learningRate: 0.01 } as const

/** Data whose first image of a batch cannot be read, so that the state of a training names images. */
const withUnreadable = (data: Dataset): Dataset => ({
  ...data,
  read: async (indices, into) => {
    await data.read(indices, into)
    return [{ position: 0, name: 'x.png', reason: 'it is empty' }]
  },
})

async function readTrainingFile(file: string, continues: boolean): Promise<string> {
  const { net, state } = await loadTraining(file, here)
  const { state: text } = encodeState(state)
  if (continues) {
    const options = { ...trainingOptions, validation: stripes(8, 2), epochs: 2, resume: state }
    await train(net, stripes(16, 1), { ...options, differences: 'accept' }).finally(() => net.dispose())
    return text
  }
  return sha(text, await contentOfNet(net))
}

/** JSON in a file of its own. */
const jsonFormat = (
  name: string,
  share: number,
  value: object,
  read: (file: string, random: Random) => Promise<string>,
): Format => ({
  ...{ name, share, files: [Buffer.from(JSON.stringify(value, null, 2))], isVerified: false, read },
  mutate: (random, file) =>
    unsealed(random.integer(3) === 0 ? mutatedBytes(random, file) : Buffer.from(mutatedJson(random, value))),
})

const readAll = async (data: Dataset): Promise<string> => {
  const pixels = new Uint8Array(data.count * data.height * data.width * data.channels)
  const unreadable = await data.read(
    Int32Array.from({ length: data.count }, (_, index) => index),
    pixels,
  )
  return sha(pixels, JSON.stringify([unreadable, [...data.labels], data.classNames]))
}

async function shardFormat(folder: string): Promise<Format> {
  const { files } = await import('../setup/cached-photos.js')
  const sources = files.slice(0, shardImages).map((bytes, index) => {
    const file = path.join(folder, `${index}.jpg`)
    writeFileSync(file, bytes)
    return file
  })
  const list = { sources, names: sources, labels: new Int32Array(shardImages), classNames: ['a'] }
  const cache = path.join(folder, 'cache')
  const open = () => cachedDataset(list, { crop: 32, smallestSide: 40, cache })
  await open().prepare()
  const shard = path.join(cache, readdirSync(cache).find((name) => name.endsWith('.shard')) ?? '')
  return {
    ...{ name: 'shard', share: 15, files: [readFileSync(shard)], isVerified: true, mutate: mutatedShard },
    read: async (file) => {
      writeFileSync(shard, readFileSync(file))
      return readAll(open())
    },
  }
}

const foreignFormat = (name: string, share: number, files: readonly string[], mutate = mutatedBytes): Format => ({
  ...{ name, share, files: files.map(foreign), isVerified: false },
  mutate: (random, file) => unsealed(mutate(random, file)),
  read: async (file) => contentOfNet(await load(file, here)),
})

/** A line of each kind, and some more. */
export function logLines(): Readonly<Record<string, unknown>>[] {
  const time = new Date(0).toISOString()
  const facts = { model: 'VGG A', data: 'd', device: 'cpu', precision: 'float32', training: 4, classes: 2, epochs: 3 }
  const step = { epoch: 1, loss: 0.5, images: 4, correct: 1, learningRate: 0.1, imagesPerSecond: 9 }
  return [
    { event: 'start', step: 0, ...facts, batch: 4, settings: { seed: 1, freeze: 'conv1' } },
    ...[1, 2, 3].map((number) => ({ event: 'step', step: number, ...step })),
    { event: 'skipped', step: 3, epoch: 1, files: [{ name: 'a.jpg', reason: 'it is empty' }] },
    { event: 'epoch', step: 3, epochs: 3, accuracy: 0.5, seconds: 1, ...step, loss: null },
    { event: 'checkpoint', step: 3, path: 'checkpoints/step-00000003.safetensors', seconds: 0.1 },
    { event: 'notFinite', step: 3, at: 4, message: 'fc8', action: 'skip' },
    { event: 'end', step: 3, ended: 'epochs', seconds: 9 },
  ].map((line) => ({ time, ...line }))
}

const logText = (): string =>
  logLines()
    .map((line) => `${JSON.stringify(line)}\n`)
    .join('')

/** All formats; their files are written in a folder of their own. */
export async function formatsIn(folder: string): Promise<readonly Format[]> {
  const file = (name: string): string => path.join(folder, name)
  const made = async (net: VGG, name: string): Promise<Buffer> => {
    await save(net, file(name))
    net.dispose()
    return readFileSync(file(name))
  }
  const small = await made(await plainNet({ classNames: ['a', 'b', 'c', 'd', 'e'], meanRgb: [100, 120] }), 'small')
  const narrow = await made(await smallNet({ ...here, width: 0.02, headWidth: 4 }), 'narrow')
  const checkpoint = { folder: file('checkpoints') }
  mkdirSync(checkpoint.folder)
  const net = await smallNet({ ...here, width: 0.02, headWidth: 4 })
  const report = await train(net, withUnreadable(stripes(16, 1)), {
    ...trainingOptions,
    schedule: { kind: 'plateau', patience: 2 },
    rateFactors: { fc8: 2 },
    validation: withUnreadable(stripes(8, 2)),
    epochs: 1,
    checkpoint,
  })
  net.dispose()
  const training = readFileSync(report.checkpoint ?? '')
  const pixels = Uint8Array.from({ length: 4 * 36 }, (_, index) => index)
  const labels = file('labels')
  writeFileSync(labels, idxBytes([4], Uint8Array.of(0, 1, 2, 0)))
  const idx = idxBytes([4, 6, 6], pixels)
  const record = (label: number) => Uint8Array.from({ length: 3073 }, (_, index) => (index === 0 ? label : index))
  const list = 'path,label\ncats/1.jpg,cat\n"dogs/""2"".jpg",dog\n"a\nb.jpg",cat\n'
  const run = file('run')
  const description = runDescription({
    data: { kind: 'list', path: '/images.csv', validationPath: '/validation.csv' },
    model: { variant: 'A', classes: 2, imageSize: [32, 32], meanRgb: [1, 2, 3], scale: [1, 1, 1] },
  })
  await writeRunFile(run, { format: 1, vggnet: '0.1.0', plan: 'paper', description })
  const runFile = JSON.parse(readFileSync(path.join(run, 'run.json'), 'utf8'))
  const machine = tunedMachine()
  const tuning = native().cpuTuning()
  const photos = file('photos')
  mkdirSync(photos)
  return [
    {
      ...{ name: 'model', share: 60, files: [small, small, narrow], isVerified: true, mutate: mutatedOwn },
      read: async (path) => contentOfNet(await load(path, here)),
    },
    {
      ...{ name: 'checkpoint', share: 25, files: [training], isVerified: true, mutate: mutatedOwn },
      read: (path) => readTrainingFile(path, false),
    },
    {
      ...{ name: 'state', share: 30, files: [training], isVerified: true },
      mutate: (random, own) => mutatedText(random, own, ['training']),
      read: (path, random) => readTrainingFile(path, random.integer(4) === 0),
    },
    {
      ...{ name: 'IDX', share: 70, files: [idx, gzipSync(idx)], isVerified: false },
      mutate: (random, own) => {
        const head = Buffer.concat([mutatedBytes(random, own.subarray(0, 16)), own.subarray(16)])
        const bytes = random.integer(2) === 0 ? head : mutatedBytes(random, own)
        return unsealed(random.integer(4) === 0 ? gzipSync(bytes) : bytes)
      },
      read: async (images) => readAll(await idxDataset({ images, labels })),
    },
    {
      ...{ name: 'CIFAR', share: 60, files: [Buffer.concat([record(3), record(9)])], isVerified: false },
      mutate: (random, own) => unsealed(mutatedBytes(random, random.integer(4) === 0 ? gzipSync(own) : own)),
      read: async (path) => readAll(await readCifar(path)),
    },
    {
      ...{
        name: 'list',
        share: 290,
        files: [Buffer.from(list), Buffer.from('1.jpg\t0\n2.jpg\t1\n')],
        isVerified: false,
      },
      mutate: (random, own) => unsealed(mutatedBytes(random, own)),
      read: async (path) => JSON.stringify(await readList(path, { validation: 0.5, seed: 1 })),
    },
    await shardFormat(photos),
    {
      ...{ name: 'log', share: 120, files: [Buffer.from(logText())], isVerified: false },
      mutate: (random, own) => unsealed(mutatedLog(random, own)),
      read: async (path, random) => {
        const found = await readRunLog(path)
        if (random.integer(8) === 0) (await RunLog.open(path, { from: { step: 2, epochs: 0 } })).close()
        return JSON.stringify(found)
      },
    },
    jsonFormat('run.json', 100, runFile, async (path) => {
      writeFileSync(`${run}/run.json`, readFileSync(path))
      const found = await readRunFile(run)
      return JSON.stringify([found, trainingsOf(run, found)])
    }),
    jsonFormat('tuning', 160, { format: 1, machine, measured: new Date(0).toISOString(), tuning }, async (path) => {
      const found = keptIn(readFileSync(path, 'utf8'), machine)
      if ('reason' in found) return found.reason
      try {
        native().setCpuTuning(found.tuning)
      } finally {
        native().setCpuTuning(tuning)
      }
      return JSON.stringify(found)
    }),
    foreignFormat('safetensors', 20, ['timm-A.safetensors', 'timm-A-half.safetensors'], orHeader),
    foreignFormat(
      'torch zip',
      15,
      ['torchvision-A-half.pth', 'torchvision-A-shared.pth', 'torchvision-A-nested.pth'],
      pickled,
    ),
    foreignFormat('torch stream', 12, ['torchvision-D-stream.pth'], pickled),
    foreignFormat('torch tar', 8, ['torchvision-A-tar.pth'], pickled),
    foreignFormat('Caffe', 4, ['caffe-face.caffemodel', 'caffe-v1.caffemodel'], near(/conv\d|fc\d|relu\d|pool\d/g)),
    foreignFormat(
      'HDF5',
      1,
      ['keras-D.weights.h5', 'keras-D-old.h5'],
      near(/TREE|SNOD|HEAP|OHDR|kernel|bias|block\d/g),
    ),
  ]
}
