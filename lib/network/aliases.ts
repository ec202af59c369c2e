import { type Layer, tensorNames } from '../layer.js'

/**
 * Names of other libraries for tensors, which `features` and `vjp` accept: torchvision's modules ('features.21',
 * 'classifier.3') and Keras's layers ('block4_conv2', 'fc1', after the ReLU).
 */
export type TensorAlias =
  | `features.${number}`
  | `classifier.${number}`
  | `block${1 | 2 | 3 | 4 | 5}_${'conv1' | 'conv2' | 'conv3' | 'conv4' | 'pool'}`
  | 'fc1'
  | 'fc2'

/** The tensors of a network that can be named. */
export interface KnownTensors {
  /** This package's names, in order: 'conv1_1', 'relu1_1', 'pool1', ..., 'fc8'. */
  readonly tensors: readonly string[]
  /** This package's name by that of another library. */
  readonly aliases: ReadonlyMap<string, string>
}

/**
 * Names of torchvision's modules: 'features.21' is a convolution, ReLU or pool by its index, 'classifier.3' the same of the
 * linear layers, which have a ReLU and a dropout each. torchvision has no local normalisation.
 */
function torchvisionNames(layers: readonly Layer[]): [string, string][] {
  if (layers.some(({ kind }) => kind === 'local-norm')) return []
  const found: [string, string][] = []
  const next = { features: 0, classifier: 0 }
  for (const layer of layers) {
    if (layer.kind === 'input' || layer.kind === 'spatial-mean') continue
    const module = layer.kind === 'linear' ? 'classifier' : 'features'
    found.push([`${module}.${next[module]++}`, layer.name])
    if ('relu' in layer && layer.relu !== undefined) found.push([`${module}.${next[module]++}`, layer.relu])
    if (layer.kind === 'linear') next.classifier++
  }
  return found
}

/** Names of Keras's layers: the output of 'block4_conv2' and of 'fc1' is after the ReLU. */
function kerasNames(layers: readonly Layer[]): [string, string][] {
  return layers.flatMap((layer): [string, string][] => {
    if (layer.kind === 'input') return []
    const output = ('relu' in layer && layer.relu) || layer.name
    const convolution = /^conv(\d+)_(\d+)$/.exec(layer.name)
    if (convolution !== null) return [[`block${convolution[1]}_conv${convolution[2]}`, output]]
    const pool = /^pool(\d+)$/.exec(layer.name)
    if (pool !== null) return [[`block${pool[1]}_pool`, output]]
    const linear = /^fc([67])$/.exec(layer.name)
    return linear === null ? [] : [[`fc${Number(linear[1]) - 5}`, output]]
  })
}

/** The tensors of these layers, and the names of torchvision and Keras for them. */
export const knownTensors = (layers: readonly Layer[]): KnownTensors => ({
  tensors: tensorNames(layers),
  aliases: new Map([...torchvisionNames(layers), ...kerasNames(layers)]),
})
