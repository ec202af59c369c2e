import type { PhotoList } from '../../lib/data/sources/photo-list.js'
import { train } from '../../lib/index.js'
import { checkOptions, checkSources } from '../../lib/run/checks.js'
import type { RunDescription } from '../../lib/run/description.js'
import { newFolder } from '../setup/folder.js'
import { netsOpened } from '../setup/opened-nets.js'
import { runDescription } from '../setup/run-description.js'
import { stripes } from '../setup/stripes.js'
import { commandMistakes, programMistakes } from './mistake.js'

const open = netsOpened()('cpu')
const data = stripes(40, 1)
const quick = { epochs: 9, batch: 8 }

programMistakes('trainings', [
  {
    name: 'a learning rate that is far too large',
    make: async () => train(await open(), data, { ...quick, learningRate: 1e6 }),
    code: 'NOT_FINITE',
    problem: ['Step ', 'learning rate 1000000', 'the last finite loss was', 'no checkpoint was written'],
    cure: ['try learningRate 100000 (--learning-rate 100000)', "onNotFinite 'back' (--on-not-finite back)"],
  },
  {
    name: 'one that is too large after each return to a checkpoint',
    make: async () => {
      const options = { learningRate: 1e6, onNotFinite: { back: 0.5, times: 1 }, checkpoint: { folder: newFolder() } }
      return train(await open(), data, { ...quick, ...options })
    },
    code: 'NOT_FINITE',
    problem: ['learning rate 500000', 'the last checkpoint is /', '/step-00000000.safetensors'],
    cure: ['try learningRate 50000 (--learning-rate 50000)'],
  },
])

const names = { kind: 'files', training: list(['a', 'b', 'c']), validation: undefined } as const

/** Files of three images, one of each class. */
function list(classNames: readonly string[]): PhotoList {
  return { sources: ['1', '2', '3'], names: ['1', '2', '3'], labels: Int32Array.of(0, 1, 2), classNames }
}

/** Checks a run with these changes, as before its data are found. */
const checked = (changes: Partial<RunDescription>) => checkOptions(run(changes))

const run = (changes: Partial<RunDescription>): RunDescription =>
  runDescription({
    data: { kind: 'folder', path: '/nowhere' },
    model: { variant: 'A', imageSize: [32, 32], width: 0.125, headWidth: 32 },
    ...changes,
  })

const { training } = run({})

programMistakes('runs, before their images are found', [
  {
    name: 'a momentum of 1',
    make: () => checked({ training: { ...training, momentum: 1 } }),
    code: 'INVALID_ARGUMENT',
    problem: ['training.momentum', '1 (number)'],
    cure: ['a number from 0 to below 1'],
  },
  {
    name: 'a parameter of another schedule',
    make: () => checked({ training: { ...training, schedule: { kind: 'constant', at: [3] } as never } }),
    code: 'INVALID_ARGUMENT',
    problem: ['no at (--at) for the schedule constant'],
    cure: ['milestones (--schedule milestones)'],
  },
  {
    name: 'no epochs of patience',
    make: () => checked({ training: { ...training, schedule: { kind: 'plateau', patience: 0 } } }),
    code: 'INVALID_ARGUMENT',
    problem: ['schedule (plateau).patience', '0 (number)'],
    cure: ['an integer of at least 1'],
  },
  {
    name: 'a layer to freeze that does not exist',
    make: () => checked({ freeze: ['conv3_3'] }),
    code: 'INVALID_ARGUMENT',
    problem: ['freeze (--freeze)', "'conv3_3'"],
    cure: ["did you mean 'conv3_1'?"],
  },
  {
    name: 'images that are too small for five blocks',
    make: () => checked({ model: { variant: 'A', imageSize: [31, 31] } }),
    code: 'INVALID_ARGUMENT',
    problem: ['imageSize', '[31, 31]'],
    cure: ['at least 32 pixels'],
  },
  {
    name: 'a model to continue from that does not exist',
    make: () => checked({ model: {}, start: { from: '/nowhere.safetensors' } }),
    code: 'FILE_NOT_FOUND',
    problem: ['/nowhere.safetensors'],
    cure: ['There is no file'],
  },
  {
    name: 'a precision of GPUs on the CPU',
    make: () => checked({ device: { device: 'cpu', precision: 'bf16' } }),
    code: 'INVALID_ARGUMENT',
    problem: ['precision', "'bf16'"],
    cure: ["Expected 'float32'"],
  },
])

programMistakes('runs, before their images are read', [
  {
    name: 'fewer classes than the data have',
    make: () => checkSources(run({ model: { ...run({}).model, classes: 2 } }), names),
    code: 'SHAPE_MISMATCH',
    problem: ['classes (--classes)', 'received 2'],
    cure: ['at least 3'],
  },
  {
    name: 'images scaled to less than the crop',
    make: () => checkSources(run({ photographs: { ...run({}).photographs, smallestSide: 31 } }), names),
    code: 'INVALID_ARGUMENT',
    problem: ['smallestSide', '31 (number)'],
    cure: ['an integer from 32'],
  },
  {
    name: 'a schedule that follows validation images where there are none',
    make: () => checkSources(run({ training: { ...training, schedule: 'plateau' } }), names),
    code: 'INVALID_ARGUMENT',
    problem: ["schedule 'plateau'", 'received none'],
    cure: ['Expected validation data'],
  },
])

// the data do not exist, which would be the error if they were looked for first
commandMistakes('train', [
  {
    name: 'a momentum of 1',
    words: ['train', '/nowhere', '--momentum', '1'],
    status: 2,
    code: 'INVALID_ARGUMENT',
    problem: ['--momentum', '1 (number)'],
    cure: ['a number from 0 to below 1'],
  },
  {
    name: 'no layer left to learn',
    words: ['train', '/nowhere', '--freeze', 'convolutions,head'],
    status: 2,
    code: 'INVALID_ARGUMENT',
    problem: ['freeze (--freeze)', 'conv1_1, conv2_1'],
    cure: ['at least one layer left to learn'],
  },
])
