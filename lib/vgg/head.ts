import { layersWithParameters } from '../layer.js'
import { type Initialisation, initialisation, type RunOptions, runChecks } from '../network/open.js'
import { arrayOf, integer, readOptions, text, unexpected, withDefault } from '../options.js'
import { VGG, type VggOptions } from './vgg.js'

/** What a new last layer is to be. What is left out of device, precision, threads ... is as in the network given. */
export interface HeadOptions extends RunOptions {
  /** Outputs of the new layer, at least 1. */
  classes: number
  /** One name for each class. Default: none. */
  classNames?: readonly string[]
  /** Of the new layer's weights; default `glorot`. */
  initialisation?: Initialisation
}

const headChecks = {
  classes: integer(1, 2 ** 20),
  classNames: withDefault(arrayOf(text), []),
  initialisation,
}

/**
 * A network with another last layer, for other classes (fine-tuning): of the same configuration, mean and
 * preprocessing included, with the parameters of all other layers copied, and none frozen. The one given stays as it
 * is, and is the caller's to dispose of.
 * @throws INVALID_ARGUMENT, SHAPE_MISMATCH, DISPOSED, OUT_OF_MEMORY, and what `VGG.create` throws
 */
export async function replaceHead(net: VGG, options: HeadOptions): Promise<VGG> {
  if (!(net instanceof VGG)) throw unexpected('a VGG', 'net', net)
  const { classes } = readOptions(options, 'replaceHead options', { ...runChecks, ...headChecks })
  return remade(net, { ...options, classes }, layersWithParameters(net.layers).slice(0, -1))
}

/**
 * The same network with another dropout of fc6 and fc7: all parameters are copied, none is frozen. The one given stays
 * as it is, and is the caller's to dispose of.
 * @param dropout from 0 to below 1
 * @throws as `replaceHead`
 */
export async function withDropout(net: VGG, dropout: number, options: RunOptions): Promise<VGG> {
  const { classNames } = net
  return remade(net, { ...options, dropout, classNames, initialisation: 'none' }, layersWithParameters(net.layers))
}

/** A network of the same configuration but for `changes`, with the parameters of `layers` copied. */
async function remade(net: VGG, changes: Partial<VggOptions>, layers: readonly string[]): Promise<VGG> {
  const given = Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined))
  const { device, precision, deterministic, configuration } = net
  const { seed, threads, exact } = net.run
  const same = { device: device as 'cpu' | `cuda:${number}`, deterministic, seed, threads, exact }
  // another device has its own precision
  const ownPrecision = given.device === undefined ? { precision } : {}
  const made = await VGG.create({ ...configuration, ...same, ...ownPrecision, ...given })
  try {
    await made.initialiseFrom(net, { layers })
    return made
  } catch (error) {
    made.dispose()
    throw error
  }
}
