import { messageOf, VggError } from '../error.js'
import { parsedJson } from '../files/untrusted.js'
import { checkedLayers, endsOf, type Layer } from '../layer.js'
import { checkClassNames } from '../network/arguments.js'
import { Network } from '../network/network.js'
import type { NetworkOptions, RunOptions } from '../network/open.js'
import { arrayOf, isObject, readOptions, text, unexpected } from '../options.js'
import { layersOf, type VggConfiguration } from '../vgg/configuration.js'
import type { VggOptions } from '../vgg/options.js'
import { VGG } from '../vgg/vgg.js'
import { textLimits } from './safetensors.js'

/** Options of `VGG.create` that reproduce a VGG net without its weights. */
export type VggModel = { readonly kind: 'VGG' } & Pick<VggOptions, 'classNames'> & VggConfiguration

/** Options of `VGG.create` or `Network.create` that reproduce a network without its weights. */
export type Model = VggModel | ({ readonly kind: 'Network' } & Pick<NetworkOptions, 'classNames' | 'layers'>)

/**
 * The model, if it is a VGG net.
 * @param otherwise name of a function that accepts any network, for the message
 * @throws FILE_FORMAT
 */
export function vggModel(model: Model, otherwise?: string): VggModel {
  if (model.kind === 'VGG') return model
  const hint = otherwise === undefined ? '' : `; use ${otherwise}`
  throw new VggError('FILE_FORMAT', `Expected a VGG net but found a network of other layers${hint}`)
}

/** The model of a network. */
export function modelOf(network: Network): Model {
  const { classNames } = network
  if (network instanceof VGG) return { kind: 'VGG', ...network.configuration, classNames }
  return { kind: 'Network', layers: network.layers, classNames }
}

/** Parses the model in the metadata of a file. @throws FILE_FORMAT */
export function modelFrom(json: string | undefined): Model {
  try {
    const model = parsedJson(json ?? '', textLimits)
    // for its checks
    layersOfModel(model)
    return model as Model
  } catch (cause) {
    const reason = messageOf(cause)
    throw new VggError('FILE_FORMAT', `The description of the model is not valid: ${reason}`, { cause })
  }
}

/** The layers of a model. @throws INVALID_ARGUMENT, SHAPE_MISMATCH if it is not valid */
export function layersOfModel(model: unknown): readonly Layer[] {
  if (!isObject(model)) throw unexpected('an object', 'model', model)
  const { kind, ...options } = model
  if (kind === 'VGG') return layersOf(options as unknown as VggOptions)
  if (kind !== 'Network') throw unexpected('VGG or Network', 'kind', kind)
  const { layers, classNames } = readOptions(options, 'model', { layers: checkedLayers, classNames: arrayOf(text) })
  checkClassNames(classNames, endsOf(layers).classes)
  return layers
}

/** Creates a network of this model with uninitialised weights. */
export function createModel(model: VggModel, run: RunOptions): Promise<VGG>
export function createModel(model: Model, run: RunOptions): Promise<Network>
export async function createModel(model: Model, run: RunOptions): Promise<Network> {
  if (model.kind === 'VGG') {
    const { kind, ...options } = model
    return VGG.create({ ...options, ...run, initialisation: 'none' })
  }
  const { kind, ...options } = model
  return Network.create({ ...options, ...run, initialisation: 'none' })
}
