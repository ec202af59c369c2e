import { type Layer, tensorNames } from '../layer.js'
import { arrayOf, boolean, type Check, integer, readOptions, unexpected, withDefault } from '../options.js'
import { native } from '../platform/native.js'
import type { Description } from '../platform/native-description.js'
import { namesOf } from './arguments.js'
import { checkedLayers } from './check.js'
import { device, type RunOptions, runChecks } from './open.js'
import { prepareDevice } from './prepare-device.js'

/** What is to be planned, and for what. */
export interface DescribeOptions {
  /** As `layersOf` gives them, or your own. */
  layers: readonly Layer[]
  /** Of the batch of images, whatever their type: n, c, h, w. */
  shape: readonly number[]
  /** What training takes, or evaluation; default false. */
  training?: boolean
  /** Tensors that are kept for `features`, or for gradients to be injected. */
  keep?: readonly string[]
  /** Default 'cpu'. 'cuda' needs CUDA's libraries, but no driver and no card. */
  device?: RunOptions['device']
  /** Default: the device's own choice. */
  precision?: RunOptions['precision']
  /** As `RunOptions` has it. Default false. */
  deterministic?: RunOptions['deterministic']
  /** Direct convolutions only. Default false. */
  exact?: boolean
}

const batchShape: Check<number[]> = (value, name) => {
  const shape = arrayOf(integer(1, 2 ** 31 - 1))(value, name)
  if (shape.length === 4) return shape
  throw unexpected('[n, c, h, w]', name, value)
}

/**
 * The plan of a network for one shape: its stages, tensors with their positions in memory, bytes and operations.
 * Pure: nothing of it is allocated.
 * @throws SHAPE_MISMATCH where the layers and the shape do not fit, INVALID_ARGUMENT, DEVICE_UNAVAILABLE,
 *   NATIVE_LOAD_FAILED
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
    precision: runChecks.precision,
    deterministic: runChecks.deterministic,
    exact: withDefault(boolean, false),
  }
  const { keep, ...read } = readOptions(options, 'describe options', checks)
  prepareDevice(read.device)
  return native().describe({ ...read, threads: 0, keep: namesOf(keep, 'keep', tensorNames(read.layers)) })
}
