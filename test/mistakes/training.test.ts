import { train } from '../../lib/index.js'
import { newFolder } from '../setup/folder.js'
import { netsOpened } from '../setup/opened-nets.js'
import { stripes } from '../setup/stripes.js'
import { programMistakes } from './mistake.js'

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
