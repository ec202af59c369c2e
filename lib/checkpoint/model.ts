import { messageOf, VggError } from '../error.js'
import { checkedLayers, endsOf, type Layer, type Parameter } from '../layer.js'
import { checkClassNames } from '../network/arguments.js'
import { Network } from '../network/network.js'
import type { NetworkOptions, RunOptions } from '../network/open.js'
import { arrayOf, isObject, readOptions, text, unexpected } from '../options.js'
import { shapeText } from '../tensor.js'
import { layersOf, type VggConfiguration, type VggOptions } from '../vgg/configuration.js'
import { VGG } from '../vgg/vgg.js'
import type { Entry } from './safetensors.js'

/** The options that make a model again, without its weights: `VGG.create` takes them, or `Network.create`. */
export type Model =
  | ({ readonly kind: 'VGG' } & Pick<VggOptions, 'classNames'> & VggConfiguration)
  | ({ readonly kind: 'Network' } & Pick<NetworkOptions, 'classNames' | 'layers'>)

export function modelOf(network: Network): Model {
  const { classNames } = network
  if (network instanceof VGG) return { kind: 'VGG', ...network.configuration, classNames }
  return { kind: 'Network', layers: network.layers, classNames }
}

/** A model as the metadata of a file hold it. @throws FILE_FORMAT */
export function modelFrom(json: string | undefined): Model {
  try {
    const model: unknown = JSON.parse(json ?? '')
    // refuses whatever is not right in it
    layersOfModel(model)
    return model as Model
  } catch (cause) {
    const reason = messageOf(cause)
    throw new VggError('FILE_FORMAT', `The description of the model is not valid: ${reason}`, { cause })
  }
}

/** The layers of a model; throws for what is none. */
export function layersOfModel(model: unknown): readonly Layer[] {
  if (!isObject(model)) throw unexpected('an object', 'model', model)
  const { kind, ...options } = model
  if (kind === 'VGG') return layersOf(options as unknown as VggOptions)
  if (kind !== 'Network') throw unexpected('VGG or Network', 'kind', kind)
  const { layers, classNames } = readOptions(options, 'model', { layers: checkedLayers, classNames: arrayOf(text) })
  checkClassNames(classNames, endsOf(layers).classes)
  return layers
}

/** A network of this model, its weights not set. */
export async function createModel(model: Model, run: RunOptions): Promise<Network> {
  if (model.kind === 'VGG') {
    const { kind, ...options } = model
    return VGG.create({ ...options, ...run, initialisation: 'none' })
  }
  const { kind, ...options } = model
  return Network.create({ ...options, ...run, initialisation: 'none' })
}

/**
 * Checks that each of these parameters has its tensor, and that no other tensor is there.
 * @param prefix what stands before the parameters' names
 */
export function checkEntries(entries: readonly Entry[], parameters: readonly Parameter[], prefix = ''): void {
  const found = new Map(entries.map((entry) => [entry.name, entry]))
  for (const { name: own, shape } of parameters) {
    const name = `${prefix}${own}`
    const entry = found.get(name)
    const expected = `Expected ${name} as F32 ${shapeText(shape)}`
    if (entry === undefined) throw new VggError('FILE_FORMAT', `${expected}, but it is missing`)
    if (entry.dtype !== 'F32' || shapeText(entry.shape) !== shapeText(shape)) {
      throw new VggError('FILE_FORMAT', `${expected} but found ${entry.dtype} ${shapeText(entry.shape)}`)
    }
    found.delete(name)
  }
  const [other] = found.keys()
  if (other !== undefined) throw new VggError('FILE_FORMAT', `Found ${other}, which the described network has not`)
}
