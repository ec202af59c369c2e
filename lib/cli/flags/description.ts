import type { Device } from '../../network/open.js'
import type { RunDescription } from '../../run/description.js'
import { dataOf, readingOf } from './data-flags.js'
import { defaultVariant, given } from './flags.js'
import { type DescriptionFlags, scheduleOf } from './train-flags.js'

/** What the words and flags of `vggnet train` and `vggnet check` ask for. @throws INVALID_ARGUMENT */
export function descriptionOf(data: string | undefined, flags: DescriptionFlags): RunDescription {
  return {
    data: dataOf(data, flags),
    validation: flags.split,
    ...given({ classNames: flags.classNames }),
    photographs: {
      ...readingOf(flags),
      ...given({ smallestSide: flags.smallestSide }),
      randomCrop: flags.crop,
      flip: flags.flip,
      colour: flags.colour,
    },
    shift: flags.shift,
    background: flags.background,
    model: modelOf(flags),
    start: given({ from: flags.from, transplant: flags.transplant }),
    freeze: flags.freeze ?? [],
    rates: flags.rates ?? {},
    training: trainingOf(flags),
    checkpoints: { keep: flags.keep, minutes: flags.minutes },
    device: deviceOf(flags),
    seed: flags.seed,
  }
}

function modelOf(flags: DescriptionFlags): RunDescription['model'] {
  const { variant, initialisation, classes, channels, imageSize, width, headWidth, dropout, localNorm, mean, scale } =
    flags
  const shape = { classes, channels, imageSize, width, headWidth, dropout, localNorm }
  // a model to start from has its own; what was given beside it must be known
  const defaults = flags.from === undefined ? { variant: defaultVariant, initialisation: 'glorot' as const } : {}
  return { ...defaults, ...given({ variant, initialisation, ...shape, meanRgb: mean, scale }) }
}

function trainingOf(flags: DescriptionFlags): RunDescription['training'] {
  const { epochs, batch, microBatch, momentum, weightDecay, onNotFinite } = flags
  const learningRate = flags.rate ?? flags.learningRate
  return {
    epochs,
    batch,
    learningRate,
    momentum,
    weightDecay,
    onNotFinite,
    ...given({ microBatch, schedule: scheduleOf(flags) }),
  }
}

function deviceOf({
  device = 'auto',
  precision,
  deterministic,
  threads,
  exact,
}: DescriptionFlags): RunDescription['device'] {
  return { device: device as Device, ...given({ precision, deterministic, threads, exact }) }
}
