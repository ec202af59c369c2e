import { type Description, native } from '../native.js'
import { arrayOf, boolean, type Check, integer, readOptions, unexpected, withDefault } from '../options.js'
import { namesOf } from './arguments.js'
import { checkedLayers } from './check.js'
import { type Layer, tensorNames } from './layer.js'
import { type Device, device } from './open.js'

export interface DescribeOptions {
  layers: readonly Layer[]
  /** Of the batch of images, whatever their type: n, c, h, w. */
  shape: readonly number[]
  /** What training takes, or evaluation; default false. */
  training?: boolean
  /** Tensors that are kept for `features`, or for gradients to be injected. */
  keep?: readonly string[]
  /** Default 'cpu'. */
  device?: Device
  /** Direct convolutions only. Default false. */
  exact?: boolean
}

const batchShape: Check<number[]> = (value, name) => {
  const shape = arrayOf(integer(1, 2 ** 31 - 1))(value, name)
  if (shape.length === 4) return shape
  throw unexpected('[n, c, h, w]', name, value)
}

/**
 * The plan of a network for one shape: its stages, tensors with their places in memory, bytes and operations.
 * Pure: nothing of it is allocated.
 * @throws SHAPE_MISMATCH where the layers and the shape do not fit, INVALID_ARGUMENT, NATIVE_LOAD_FAILED
 */
export function describe(options: DescribeOptions): Description {
  const checks = {
    layers: checkedLayers,
    shape: batchShape,
    training: withDefault(boolean, false),
    keep: withDefault(
      arrayOf((name) => name),
      [],
    ),
    device: withDefault(device, 'cpu'),
    exact: withDefault(boolean, false),
  }
  const { keep, ...read } = readOptions(options, 'describe options', checks)
  return native().describe({ ...read, keep: namesOf(keep, 'keep', tensorNames(read.layers)) })
}
