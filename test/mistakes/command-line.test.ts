import { commandMistakes } from './mistake.js'

commandMistakes('flags', [
  {
    name: 'a value after a flag that takes none, --no-flip=yes',
    words: ['train', 'photos', '--no-flip=yes'],
    status: 2,
    code: 'INVALID_ARGUMENT',
    problem: ["option '--no-flip' takes no value", "'yes'"],
    cure: ['give --no-flip alone, or leave it out'],
  },
  {
    name: 'a value for the positive name of such a flag, --flip=no',
    words: ['check', 'photos', '--flip=no'],
    status: 2,
    code: 'INVALID_ARGUMENT',
    problem: ["option '--no-flip' takes no value", "'no'"],
    cure: ['give --no-flip alone'],
  },
  {
    name: '--json=true',
    words: ['doctor', '--json=true'],
    status: 2,
    code: 'INVALID_ARGUMENT',
    problem: ["option '--json' takes no value", "'true'"],
    cure: ['give --json alone'],
  },
  {
    name: 'a misspelt flag',
    words: ['describe', '--clases', '3'],
    status: 2,
    code: 'INVALID_ARGUMENT',
    problem: ["'--clases'"],
    cure: ['Did you mean --classes?'],
  },
  {
    name: 'a word where a number is expected',
    words: ['train', 'photos', '--scale', '1/0'],
    status: 2,
    code: 'INVALID_ARGUMENT',
    problem: ['--scale', "'1/0'"],
    cure: ['Expected a number, such as 0.5 or 1/58'],
  },
])
