import { checkedLayers, type Layer } from '../layer.js'
import { arrayOf, boolean, type Check, integer, readOptions, unexpected, withDefault } from '../options.js'
import { native } from '../platform/native.js'
import type { Description } from '../platform/native-description.js'
import { knownTensors } from './aliases.js'
import { namesOf } from './arguments.js'
import { device, prepareDevice, type RunOptions, runChecks, withDeviceCure } from './open.js'

/** Options of `describe`. */
export interface DescribeOptions {
  /** The layers as plain data: those of `layersOf`, or custom ones. */
  layers: readonly Layer[]
  /** Shape of the batch of images, [n, c, h, w] for uint8 images as well. */
  shape: readonly number[]
  /** Whether to plan for training or for evaluation. Default false. */
  training?: boolean | undefined
  /** Names of tensors to keep, for `features` or for injected gradients. Default: none. */
  keep?: readonly string[] | undefined
  /** Device to plan for. 'cuda' needs NVIDIA's libraries, but no driver and no GPU. Default 'cpu'. */
  device?: RunOptions['device'] | undefined
  /** Precision of activations and products. Default: that of the device, see `RunOptions`. */
  precision?: RunOptions['precision'] | undefined
  /** Whether equal runs on a GPU give equal bits. Default false. */
  deterministic?: RunOptions['deterministic'] | undefined
  /** Whether all convolutions are direct, without Winograd. Default false. */
  exact?: boolean | undefined
}

const batchShape: Check<number[]> = (value, name) => {
  const shape = arrayOf(integer(1, 2 ** 31 - 1))(value, name)
  if (shape.length === 4) return shape
  throw unexpected('[n, c, h, w]', name, value)
}

/**
 * Plans a network for one shape of images, without allocating memory for it.
 * @returns its stages, its tensors with their offsets in memory, bytes and operations
 * @throws SHAPE_MISMATCH if the layers do not fit the shape, INVALID_ARGUMENT, DEVICE_UNAVAILABLE,
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
  const kept = namesOf(keep, 'keep', knownTensors(read.layers))
  try {
    return native().describe({ ...read, threads: 0, keep: kept })
  } catch (error) {
    throw withDeviceCure(error, read.device)
  }
}
