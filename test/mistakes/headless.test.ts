import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import { arrayDataset, classify, evaluate, preflight, replaceHead, save, train, VGG } from '../../lib/index.js'
import { commandMistakes, programMistakes } from './mistake.js'
import { floats, grey, rate, untyped } from './small-net.js'

const headless = { variant: 'A', head: 'none', width: 0.125, device: 'cpu' } as const
const labelled = arrayDataset({
  images: new Uint8Array(8 * 3072),
  shape: [8, 32, 32, 3],
  labels: [0, 1, 0, 1, 0, 1, 0, 1],
})

const folder = mkdtempSync(path.join(tmpdir(), 'vggnet-headless-'))
const trunk = path.join(folder, 'trunk.safetensors')
let net: VGG
beforeAll(async () => {
  net = await VGG.create({ ...headless, imageSize: 32 })
  await save(net, trunk)
})
afterAll(() => {
  net.dispose()
  rmSync(folder, { recursive: true })
})

const calls: [string, string, () => unknown][] = [
  ['the logits', 'forward', () => net.forward(grey(1))],
  ['a training step', 'step', () => net.step(grey(1), [0], rate)],
  ['a backward pass from labels', 'backward(labels)', () => net.backward([0])],
  ['the classes of an image', 'classify', () => classify(net, grey(1))],
  ['an evaluation', 'evaluate', () => evaluate(net, labelled)],
  ['a training', 'train', () => train(net, labelled, { epochs: 1, batch: 2 })],
  ['a check before a training', 'preflight', () => preflight(net, { training: labelled })],
]

programMistakes('a network without a head', [
  ...calls.map(([name, call, make]) => ({
    name: `is asked for ${name}`,
    make,
    code: 'INVALID_ARGUMENT' as const,
    problem: [`a network with a head for ${call} but this one has none`],
    cure: ["features(images, ['pool5'])", 'replaceHead(net, { classes: N })'],
  })),
  {
    name: 'is created with classes',
    make: () => VGG.create(untyped({ ...headless, classes: 10 })),
    code: 'INVALID_ARGUMENT',
    problem: ["no classes with head: 'none'", '10 (number)'],
    cure: ['leave one of them out'],
  },
  ...Object.entries({ headWidth: 32, dropout: 0.5, classNames: ['cat'] }).map(([option, value]) => ({
    name: `is created with ${option}`,
    make: () => VGG.create(untyped({ ...headless, [option]: value })),
    code: 'INVALID_ARGUMENT' as const,
    problem: [`no ${option} with head: 'none'`],
    cure: ['leave one of them out'],
  })),
  {
    name: 'is created with another word than none',
    make: () => VGG.create(untyped({ ...headless, head: false })),
    code: 'INVALID_ARGUMENT',
    problem: ['head', 'false (boolean)'],
    cure: ['one of none'],
  },
  {
    name: 'is what a network without classes is meant to be',
    make: () => VGG.create(untyped({ variant: 'D' })),
    code: 'INVALID_ARGUMENT',
    problem: ['classes', 'undefined'],
    cure: ["head: 'none' creates a network without classes"],
  },
  ...['head', 'fc8'].map((name) => ({
    name: `has its ${name} frozen`,
    make: () => net.freeze([name] as never),
    code: 'INVALID_ARGUMENT' as const,
    problem: [`'${name}'`, 'this network has no head'],
    cure: ["a layer, a block or 'convolutions'"],
  })),
  {
    name: 'is asked for a feature of the head',
    make: () => net.features(grey(1), ['fc7'] as never),
    code: 'INVALID_ARGUMENT',
    problem: ["'fc7'"],
    cure: ["without a head it ends with 'pool5'"],
  },
  {
    name: 'receives an image of 31 pixels',
    make: () => net.features(floats(1, 3, 31, 64), ['pool5']),
    code: 'SHAPE_MISMATCH',
    problem: ['images of 31x64 are too small'],
    cure: ['at least 2x2 pixels for layer'],
  },
  {
    name: 'gets a head without classes',
    make: () => replaceHead(net, untyped({ headWidth: 32 })),
    code: 'INVALID_ARGUMENT',
    problem: ['classes', 'undefined'],
    cure: ['an integer of at least 1'],
  },
])

commandMistakes('a network without a head on the command line', [
  {
    name: 'vggnet classify',
    words: ['classify', trunk, 'photo.jpg'],
    code: 'INVALID_ARGUMENT',
    status: 2,
    problem: ['a network with a head for classify but this one has none'],
    cure: ['replaceHead'],
  },
  {
    name: 'vggnet describe with classes',
    words: ['describe', '--head', 'none', '--classes', '10'],
    code: 'INVALID_ARGUMENT',
    status: 2,
    problem: ["no classes with head: 'none'"],
    cure: ['leave one of them out'],
  },
  {
    name: 'vggnet train',
    words: ['train', folder, '--head', 'none'],
    code: 'INVALID_ARGUMENT',
    status: 2,
    problem: ["unknown option '--head'"],
    cure: ['--help'],
  },
])
