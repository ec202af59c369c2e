import { VGG } from '../../lib/index.js'
import { programMistakes } from './mistake.js'

programMistakes('networks', [
  {
    name: 'a variant that does not exist',
    make: () => VGG.create({ variant: 'F' as never, classes: 2 }),
    code: 'INVALID_ARGUMENT',
    problem: ['variant', "'F'"],
    cure: ['one of A, VGG11', 'E, VGG19'],
  },
  {
    name: 'no classes',
    make: () => VGG.create({ variant: 'A', classes: 0 }),
    code: 'INVALID_ARGUMENT',
    problem: ['classes', '0 (number)'],
    cure: ['an integer from 1 to 1048576'],
  },
])
