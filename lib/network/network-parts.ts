import type { Layer } from '../layer.js'
import type { NativeNetwork } from '../platform/native.js'
import type { Initialisation, RunOptions } from './open.js'

/** What a network of layers of your own is to be. */
export interface NetworkOptions extends RunOptions {
  /** The description: plain data, the input first. */
  layers: readonly Layer[]
  /** Default `glorot`. */
  initialisation?: Initialisation
  /** One name for each class; kept with the model. */
  classNames?: readonly string[]
}

/** What a network is made from; for classes that extend `Network`. */
export interface NetworkParts {
  readonly native: NativeNetwork
  readonly layers: readonly Layer[]
  readonly classNames: readonly string[]
  /** What messages call it. */
  readonly name: string
}
