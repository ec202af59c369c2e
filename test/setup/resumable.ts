// A training as a process of its own, that may be killed at any moment: `node --import tsx resumable.ts FOLDER`.
// What it does is appended to FOLDER/log, line by line; it ends with FOLDER/model.safetensors.
import { appendFileSync } from 'node:fs'
import path from 'node:path'
import { save } from '../../lib/checkpoint/checkpoint.js'
import { newestCheckpoint } from '../../lib/checkpoint/checkpoint-folder.js'
import { loadTraining } from '../../lib/train/load-training.js'
import { train } from '../../lib/train/trainer.js'
import { smallNet, stripes } from './stripes.js'

const [folder = ''] = process.argv.slice(2)
const say = (...words: unknown[]): void => appendFileSync(path.join(folder, 'log'), `${words.join(' ')}\n`)

const checkpoints = path.join(folder, 'checkpoints')
const newest = await newestCheckpoint(checkpoints)
const begun = newest && (await loadTraining(newest.path))
const net = begun?.net ?? (await smallNet({ dropout: 0.25, threads: 1 }))
const data = stripes(44, 5)
process.stdout.write('ready\n')
let stepping = false
const report = await train(net, data, {
  validation: stripes(30, 6),
  epochs: 5,
  batch: 8,
  learningRate: 0.02,
  // coarse data and a short patience: the rate falls on the way
  schedule: { kind: 'plateau', patience: 1, drops: 5, divisor: 2 },
  shift: 1,
  seed: 11,
  checkpoint: { folder: checkpoints, everySteps: 2, before: () => say('saving') },
  ...(begun && { resume: begun.state }),
  onStep: ({ step, epoch, loss, learningRate, indices }) => {
    say('step', step, epoch, JSON.stringify([loss, learningRate, [...indices]]))
    if (!stepping) process.stdout.write('stepping\n')
    stepping = true
  },
  onEpoch: ({ seconds: _, imagesPerSecond: __, ...event }) => say('epoch', event.epoch, JSON.stringify(event)),
  onCheckpoint: ({ step }) => say('saved', step),
})
await save(net, path.join(folder, 'model.safetensors'))
const history = report.history.map(({ seconds: _, imagesPerSecond: __, ...event }) => event)
say('end', JSON.stringify({ history, steps: report.steps, ended: report.ended }))
