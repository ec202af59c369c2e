import type { Initialisation } from '../network/open.js'

/** What a check found: with `fatal`, training cannot come to anything; a `warning` is for the user to judge. */
export interface Finding {
  /** Fatal: training cannot come to anything. */
  readonly severity: 'fatal' | 'warning'
  /** In words. */
  readonly text: string
}

/** How the values or gradients of a layer look. */
export type SignalState = 'fine' | 'vanishing' | 'dead' | 'exploding'

/**
 * Where verdicts change. Measured, rms of the logits at the start, for input of standard deviation 65: A with the
 * paper's 0.01: 1.0e-3, which trains; D with it: 3.2e-6, which never leaves ln(classes); Glorot 1.42 and 0.22; He 237
 * and 180. Narrow A and D on images of stripes at rate 0.01: logits of 4.6e-4, 4.9e-4, 0.03 to 6.3 learn within 12 to
 * 211 steps, 4.9e-5, 2.9e-5 and less not in 300; 33 falls back to ln(classes), 330 is not finite at the second step.
 */
export const limits = {
  /** Rms of a layer's outputs: below it the gradients of all layers are lost. */
  dead: 3e-5,
  /** It may take a thousand steps to come out of it. */
  vanishing: 3e-4,
  /** Of the logits: soft-max is 0 or 1 from the first image on. */
  explodingLogits: 15,
  /** Of other layers. The authors' own weights reach some thousands on input of 65. */
  explodingLayer: 1e5,
  /** Share of channels that are 0 everywhere. At the start, and on few images, half may be: they are much alike. */
  deadChannels: 0.9,
  /** Change of the weights by one step, as a share of the weights. In the same trials up to 0.1 learned, 0.5 did not. */
  explodingStep: 0.3,
  /** 1.3e-6 learned, 1.5e-7 did not. */
  vanishingStep: 3e-7,
} as const

/** What a layer gives to images. */
export interface LayerFigures {
  /** Root of the mean square of all outputs, after the ReLU. */
  readonly rms: number
  /** Share of channels that are 0 at all positions of all images; 0 without a ReLU. */
  readonly deadChannels: number
}

/** The state on a layer's outputs; `logits`: on the last layer's. */
export function activationState({ rms, deadChannels }: LayerFigures, logits: boolean): SignalState {
  if (!Number.isFinite(rms) || rms > (logits ? limits.explodingLogits : limits.explodingLayer)) return 'exploding'
  if (rms < limits.dead || deadChannels >= limits.deadChannels) return 'dead'
  return rms < limits.vanishing ? 'vanishing' : 'fine'
}

/** @param step the change by one step of training without momentum, as a share of the weights: rate * gradient / weight */
export function gradientState(gradient: number, step: number): SignalState {
  if (!Number.isFinite(gradient) || step > limits.explodingStep) return 'exploding'
  if (gradient === 0) return 'dead'
  return step < limits.vanishingStep ? 'vanishing' : 'fine'
}

/** What the advice depends on. */
export interface AdviceContext {
  /** How the weights were made; undefined for weights that were learnt. */
  readonly initialisation: Initialisation | undefined
  /** Standard deviation of the input after mean and scale. */
  readonly inputDeviation: number
  readonly classes: number
}

/** What mends a net whose activations have this state. */
export function adviceFor(state: Exclude<SignalState, 'fine'>, context: AdviceContext): string {
  const { initialisation, inputDeviation, classes } = context
  const input = inputDeviation.toPrecision(2)
  if (state === 'exploding') {
    if (initialisation === undefined) return 'use the mean and scale that these weights were learnt with'
    if (inputDeviation > 5)
      return `the input has standard deviation ${input}: use --scale 0.01724 (1/58), or --initialisation glorot`
    return 'use --initialisation glorot'
  }
  const stuck = `the famous loss stuck at ${Math.log(classes).toPrecision(2)}`
  if (initialisation === 'paper') return `${stuck}: use --initialisation glorot, or --plan paper-transplant`
  if (initialisation === undefined) return `${stuck}: use the mean and scale that these weights were learnt with`
  if (inputDeviation < 0.2)
    return `${stuck}: the input has standard deviation ${input} and ought to have about 1: use a larger --scale`
  return `${stuck}: use --initialisation he, or a greater --width`
}
