/** What is timed: a step of training, or a forward pass. */
export type Mode = 'training' | 'inference'

/** What is measured: a network, a batch, and what is done with it. */
export interface Case {
  readonly variant: string
  /** Side, in pixels. */
  readonly imageSize: number
  /** Images a step. */
  readonly batch: number
  readonly mode: Mode
  /** Multiplier of the convolutions' channels. */
  readonly width?: number
  readonly headWidth: number
  readonly classes: number
}
