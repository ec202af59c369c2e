import type { Command } from 'commander'
import { load, save } from '../checkpoint/checkpoint.js'
import type { Dataset } from '../data/dataset.js'
import { idxDataset } from '../data/idx.js'
import { meanOf } from '../data/mean.js'
import { paddedDataset } from '../data/padded.js'
import { stratifiedSplit } from '../data/split.js'
import { VggError } from '../error.js'
import { unexpected } from '../options.js'
import type { StepEvent } from '../train/events.js'
import { deviceLine, rateText, reportLine } from '../train/log.js'
import { type Progress, progressOn } from '../train/progress.js'
import { train } from '../train/trainer.js'
import { VGG } from '../vgg/vgg.js'
import { Interrupted } from './failure.js'
import { deviceOptions, given } from './flags.js'
import { resumeCommand } from './resume.js'
import { addTrainFlags, scheduleOf, type TrainFlags } from './train-flags.js'

/** `vggnet train`: IDX files in, a model out. */
export function addTrain(program: Command): void {
  const command = program.command('train').description('train a network on IDX files (the format of MNIST)')
  addTrainFlags(command).action(runTrain)
}

interface Parts {
  training: Dataset
  validation: Dataset | undefined
}

async function readParts(flags: TrainFlags): Promise<Parts> {
  const { images, labels, valImages, valLabels, split, seed, classNames } = flags
  // Not options that commander requires: it would say so before it said that one is misspelt.
  if (images === undefined || labels === undefined) {
    throw new VggError(
      'INVALID_ARGUMENT',
      'Expected --images FILE and --labels FILE, the training pictures and their classes',
    )
  }
  const all = await idxDataset({ images, labels, ...(classNames && { classNames }) })
  if (valImages !== undefined && valLabels !== undefined) {
    // The training pictures name the classes: a validation file may lack the last of them.
    const names = { classNames: all.classNames }
    return { training: all, validation: await idxDataset({ images: valImages, labels: valLabels, ...names }) }
  }
  if (valImages !== undefined || valLabels !== undefined) {
    throw new VggError(
      'INVALID_ARGUMENT',
      'Expected --val-images and --val-labels together but received only one of them',
    )
  }
  if (split < 0 || split >= 1) throw unexpected('a share from 0 to below 1', '--split', split)
  const heldOut = Math.round(split * all.count)
  return heldOut === 0 ? { training: all, validation: undefined } : stratifiedSplit(all, heldOut, seed)
}

async function openNetwork(flags: TrainFlags, data: Dataset): Promise<VGG> {
  const { from, threads, exact, seed } = flags
  const run = { ...deviceOptions(flags), ...given({ threads, exact }) }
  if (from !== undefined) return load(from, run)
  const { variant, width, headWidth, dropout, localNorm, initialisation, scale } = flags
  const imageSize = flags.imageSize ?? ([Math.max(32, data.height), Math.max(32, data.width)] as const)
  const classes = flags.classes ?? data.classNames.length
  const named = data.classNames.length === classes ? { classNames: data.classNames } : {}
  return VGG.create({
    ...run,
    ...given({ width, headWidth, dropout, localNorm, scale }),
    ...named,
    variant,
    classes,
    channels: flags.channels ?? data.channels,
    imageSize,
    initialisation,
    meanRgb: flags.mean ?? (await meanOf(data)),
    seed,
  })
}

function padded(data: Dataset, net: VGG, background: number): Dataset {
  const [height, width] = net.imageSize
  return paddedDataset(data, { height, width }, background)
}

async function runTrain(flags: TrainFlags): Promise<void> {
  const parts = await readParts(flags)
  const net = await openNetwork(flags, parts.training)
  try {
    const training = padded(parts.training, net, flags.background)
    const validation = parts.validation && padded(parts.validation, net, flags.background)
    await trainAndSave(net, { training, validation }, flags)
  } finally {
    net.dispose()
  }
}

async function trainAndSave(net: VGG, parts: Parts, flags: TrainFlags): Promise<void> {
  const progress = flags.json ? jsonProgress : progressOn(process.stderr)
  if (!flags.json) console.log(startLines(net, parts))
  const seen = new Seen(progress)
  const stopping = new AbortController()
  const stop = (): void => {
    if (stopping.signal.aborted) process.exit(130)
    stopping.abort()
    progress.end()
    console.error('Stopping after the steps under way ...')
  }
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
  try {
    const options = { ...trainOptions(flags), ...seen.callbacks, signal: stopping.signal }
    const { validation } = parts
    const report = await train(net, parts.training, { ...options, ...(validation && { validation }) })
    await save(net, flags.out)
    console.log(
      flags.json ? JSON.stringify({ event: 'end', ...report, ...deviceOf(net), path: flags.out }) : reportLine(report),
    )
    if (!flags.json) console.log(`saved to ${flags.out}`)
  } catch (error) {
    progress.end()
    if (error instanceof VggError && error.code === 'ABORTED') throw await saveInterrupted(net, flags, seen)
    throw error
  } finally {
    process.off('SIGINT', stop)
    process.off('SIGTERM', stop)
  }
}

function trainOptions(flags: TrainFlags) {
  const { epochs, batch, microBatch, learningRate, momentum, weightDecay, seed, shift, background } = flags
  const schedule = scheduleOf(flags)
  const stated = { epochs, batch, learningRate, momentum, weightDecay, seed, shift, background }
  return { ...stated, ...given({ microBatch, schedule }) }
}

/** For `--json`: one JSON line per epoch. */
const jsonProgress: Progress = {
  callbacks: {
    onStep() {},
    onEpoch(event) {
      console.log(JSON.stringify({ event: 'epoch', ...event }))
    },
  },
  end() {},
}

/** What the training has told so far. */
class Seen {
  epochs = 0
  step: StepEvent | undefined
  readonly callbacks: Progress['callbacks']

  constructor(progress: Progress) {
    this.callbacks = {
      onStep: (event) => {
        this.step = event
        progress.callbacks.onStep(event)
      },
      onEpoch: (event) => {
        this.epochs = event.epoch
        progress.callbacks.onEpoch(event)
      },
    }
  }
}

async function saveInterrupted(net: VGG, flags: TrainFlags, seen: Seen): Promise<Interrupted> {
  if (seen.step === undefined) return new Interrupted('Interrupted before the first step; nothing was saved.')
  await save(net, flags.out)
  const rate = Number(rateText(seen.step.learningRate))
  const anew = { from: flags.out, epochs: Math.max(1, flags.epochs - seen.epochs), 'learning-rate': rate }
  const command = resumeCommand(process.argv.slice(3), anew)
  const done = `Interrupted after ${seen.step.step} steps (${seen.epochs} whole epochs); saved to ${flags.out}.`
  return new Interrupted(`${done} Go on (momentum starts anew) with:\n  ${command}`)
}

const deviceOf = ({ device, deviceReason, precision }: VGG) => ({ device, deviceReason, precision })

function startLines(net: VGG, { training, validation }: Parts): string {
  const [height, width] = net.imageSize
  const held = validation === undefined ? 'no validation' : `${validation.count} for validation`
  const count = net.parameters.reduce((sum, parameter) => sum + parameter.count, 0)
  const size = `${height}x${width}x${net.channels}`
  const made = `VGG ${net.variant} (${size}, ${net.classes} classes, ${count.toLocaleString('en-US')} parameters)`
  return `${made}: ${training.count} pictures, ${held}\n${deviceLine(net)}`
}
