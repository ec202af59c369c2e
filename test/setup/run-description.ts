import type { RunDescription } from '../../lib/run/description.js'

/** What a training of a few steps is made of. */
export const runDescription = (
  changes: Partial<RunDescription> & Pick<RunDescription, 'data' | 'model'>,
): RunDescription => ({
  validation: 0.25,
  photographs: { randomCrop: true, flip: true, colour: true, onUnreadable: 'throw' },
  shift: 0,
  background: 0,
  flip: false,
  start: {},
  freeze: [],
  rateFactors: {},
  training: {
    epochs: 1,
    batch: 16,
    dropLast: false,
    learningRate: 0.01,
    momentum: 0.9,
    weightDecay: 5e-4,
    onNotFinite: 'stop',
  },
  checkpoints: { keep: 2, minutes: 10 },
  device: { device: 'cpu', threads: 1 },
  seed: 1,
  ...changes,
})
