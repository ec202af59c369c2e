import type { ErrorCode } from '../error.js'
import type { Initialisation } from '../network/open.js'

/** A problem that a check found, with its fix. */
export interface Finding {
  /** `fatal`: training would fail or learn nothing. `warning`: the user decides. */
  readonly severity: 'fatal' | 'warning'
  /** A sentence that names the problem and its fix. */
  readonly text: string
  /** Code of the error that ends such a training. Undefined: the training would run, and learn nothing. */
  readonly code?: ErrorCode
}

/** State of a layer's outputs or gradients. All but 'fine' keep a network from learning. */
export type SignalState = 'fine' | 'vanishing' | 'dead' | 'exploding'

/**
 * Thresholds between the states. Measured rms of the initial logits, for input of standard deviation 65: A with the
 * paper's 0.01: 1.0e-3, which trains; D with it: 3.2e-6, which never leaves ln(classes); Glorot 1.42 and 0.22; He 237
 * and 180. Narrow A and D on images of stripes at rate 0.01: logits of 4.6e-4, 4.9e-4, 0.03 to 6.3 learn within 12 to
 * 211 steps; 4.9e-5, 2.9e-5 and less do not in 300; 33 falls back to ln(classes), 330 is not finite at the second step.
 */
export const limits = {
  /** Rms of a layer's outputs below which the gradients of all layers are lost. */
  dead: 3e-5,
  /** Rms of a layer's outputs below which the first thousand steps may learn nothing. */
  vanishing: 3e-4,
  /** Rms of the logits above which the soft-max is 0 or 1 from the first image on. */
  explodingLogits: 15,
  /** Rms of other layers. The authors' published weights reach several thousand on input of deviation 65. */
  explodingLayer: 1e5,
  /** Share of channels that are 0 everywhere. At initialisation, and on few similar images, half may be. */
  deadChannels: 0.9,
  /** Change by one step, as a share of the weights. In the same measurements up to 0.1 learned, 0.5 did not. */
  explodingStep: 0.3,
  /** Change by one step, as a share of the weights: 1.3e-6 learned, 1.5e-7 did not. */
  vanishingStep: 3e-7,
} as const

/** Statistics of a layer's outputs over several images. */
export interface LayerFigures {
  /** Root of the mean square of all outputs, after the ReLU. */
  readonly rms: number
  /** Share of channels that are 0 at all positions of all images; 0 without a ReLU. */
  readonly deadChannels: number
}

/** The state of a layer's outputs. @param logits whether it is the last layer, whose limit is lower */
export function activationState({ rms, deadChannels }: LayerFigures, logits: boolean): SignalState {
  if (!Number.isFinite(rms) || rms > (logits ? limits.explodingLogits : limits.explodingLayer)) return 'exploding'
  if (rms < limits.dead || deadChannels >= limits.deadChannels) return 'dead'
  return rms < limits.vanishing ? 'vanishing' : 'fine'
}

/**
 * The state of a layer's gradient.
 * @param step change by one step without momentum, as a share of the weights: rate * gradient norm / weight norm
 */
export function gradientState(gradient: number, step: number): SignalState {
  if (!Number.isFinite(gradient) || step > limits.explodingStep) return 'exploding'
  if (gradient === 0) return 'dead'
  return step < limits.vanishingStep ? 'vanishing' : 'fine'
}

/** The facts that the advice depends on. */
export interface AdviceContext {
  /** Initialisation of the weights; undefined for trained weights. */
  readonly initialisation: Initialisation | undefined
  /** Standard deviation of the input after mean and scale. */
  readonly inputDeviation: number
  /** Scale with which the input would have a standard deviation of 1. */
  readonly unitScale: number
  /** Number of classes, which sets the loss of a network that has learnt nothing. */
  readonly classes: number
}

/** A scale as text for `--scale`. */
export const scaleText = (scale: number): string => String(Number(scale.toPrecision(2)))

/** The fix for a network whose activations have this state. */
export function adviceFor(state: Exclude<SignalState, 'fine'>, context: AdviceContext): string {
  const { initialisation, inputDeviation, unitScale, classes } = context
  const input = inputDeviation.toPrecision(2)
  if (state === 'exploding') {
    if (initialisation === undefined) return 'use the mean and scale that these weights were trained with'
    if (inputDeviation > 5) return `the input has standard deviation ${input}: use --scale 1/58`
    return initialisation === 'glorot' ? `use --scale ${scaleText(unitScale / 10)}` : 'use --initialisation glorot'
  }
  const stuck = `the loss would stay at ln(${classes}) = ${Math.log(classes).toPrecision(2)}`
  if (initialisation === 'paper')
    return `${stuck}: use --initialisation glorot, or --plan paper-transplant without --initialisation`
  if (initialisation === undefined) return `${stuck}: use the mean and scale that these weights were trained with`
  if (inputDeviation < 0.2)
    return `${stuck}: the input has standard deviation ${input} and should have about 1: use --scale ${scaleText(unitScale)}`
  return `${stuck}: use ${initialisation === 'he' ? '' : '--initialisation he, or '}a greater --width`
}
