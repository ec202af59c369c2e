import { filled } from '../checkpoint/checkpoint.js'
import { createModel, vggModel } from '../checkpoint/model.js'
import { layersWithParameters } from '../layer.js'
import type { Network } from '../network/network.js'
import { type Initialisation, initialisation, type RunOptions, runChecks } from '../network/open.js'
import { type Callback, callback, instanceOf, oneOf, optional, readOptions } from '../options.js'
import { type AdaptOptions, adaptChecks, adaptedConfiguration } from '../vgg/adapted.js'
import type { VggOptions } from '../vgg/options.js'
import { VGG } from '../vgg/vgg.js'
import { type LoadProgress, type OpenWeights, withWeights } from './open.js'
import { sourceNames } from './sources/sources.js'

/** Options of `load`: those of the device, and changes of the network. */
export interface LoadOptions extends RunOptions, AdaptOptions {
  /** Distribution of the initial weights of layers that the source does not have, from `seed`. Default `glorot`. */
  initialisation?: Initialisation | undefined
  /**
   * Name of the source, such as 'torchvision', for a file that several sources could have written: it determines the pixels.
   * Default: recognised by the names and shapes of the tensors.
   */
  source?: string | undefined
  /** Called as bytes are fetched from the hub, and as the file is read. */
  onProgress?: Callback<[progress: LoadProgress]> | undefined
  /** Aborts a download from the hub. What was received of a whole file is kept, and the next download continues there. */
  signal?: AbortSignal | undefined
}

/** Checks of the options of how a source is opened. */
export const openingChecks = {
  source: optional(oneOf(...sourceNames)),
  onProgress: optional(callback<NonNullable<LoadOptions['onProgress']>>()),
  signal: optional(instanceOf(AbortSignal)),
}

const checks = { ...runChecks, ...adaptChecks, initialisation, ...openingChecks }

/**
 * Loads a VGG net, from a file written by `save`, from a checkpoint of a training, or from trained weights of another program:
 * torchvision, timm, Keras, Caffe. What a file is, is recognised by its content. The network knows the pixels that the weights
 * expect (mean, scale, order of channels, resize and crop), and their class names and licence.
 *
 * `options` replace the device, precision, seed, ... of the run in which a model was saved, and adapt the network: `head:
 * 'none'` for features, or other `classes` for fine-tuning. A file of ours is verified by its checksums while it is read. Models
 * of older versions have no checksums: they are loaded with a process warning (`process.on('warning')`, name `VggFileWarning`).
 * @param source a file; or the folder of a run or of checkpoints, for its best model: that of the best validation accuracy,
 *   else the last one. A damaged file is skipped for the next one, with a process warning. Or a repository of the Hugging Face
 *   hub, `hf://owner/name` or `hf://owner/name@REVISION`, which needs the package @huggingface/hub; with `head: 'none'` only the
 *   convolutions are fetched.
 * @throws FILE_NOT_FOUND, FILE_FORMAT if the file is damaged or not a VGG net, the errors of `VGG.create`, and for the hub
 *   MISSING_TOOL, DOWNLOAD_FAILED, HASH_MISMATCH, FILE_WRITE, FOLDER_IN_USE, ABORTED
 */
export async function load(source: string, options: LoadOptions = {}): Promise<VGG> {
  return (await loadHashed(source, options)).net
}

/** A loaded network, and the SHA-256 of its file in hex where it is a whole file of another program. */
interface Loaded {
  readonly net: VGG
  readonly sha256: string | undefined
}

/** As `load`, with the hash that is computed while the file is read. */
export async function loadHashed(source: string, options: LoadOptions): Promise<Loaded> {
  const { head, source: by, onProgress, signal } = readOptions(options, 'load options', checks)
  return withWeights(source, { head, source: by, onProgress, signal }, (weights) => adaptedNet(weights, options))
}

/** The network of open weights, adapted by options that were checked. */
export async function adaptedNet(weights: OpenWeights, options: LoadOptions): Promise<Loaded> {
  const { kind, classNames: names, ...model } = vggModel(weights.model, 'loadNetwork')
  const asked = chosen(options, adaptChecks)
  const { configuration, classNames, ...adapted } = adaptedConfiguration(model, asked, names)
  const run = chosen(options, runChecks)
  const net = await VGG.create({ ...configuration, classNames, ...run, initialisation: 'none' } as VggOptions)
  const scheme = initialisation(options.initialisation, 'initialisation')
  const layers = layersWithParameters(net.layers).filter((layer) => adapted.fresh.has(`${layer}.weight`))
  return filled(net, async () => {
    if (scheme !== 'none') await net.inTurn((native) => native.initialise({ scheme, seed: net.run.seed, layers }))
    return { net, sha256: await weights.fill(net, adapted) }
  })
}

/** The options of a table. */
const chosen = <T extends object>(options: T, table: object): Partial<T> =>
  Object.fromEntries(Object.entries(options).filter(([name]) => name in table)) as Partial<T>

/**
 * Loads any network from a file written by `save`, see `load`.
 * @returns a `VGG` if the saved network was one
 * @throws FILE_NOT_FOUND, FILE_FORMAT if the file is damaged, and the errors of `Network.create`
 */
export async function loadNetwork(path: string, options: RunOptions = {}): Promise<Network> {
  readOptions(options, 'load options', runChecks)
  return withWeights(path, {}, async (weights) => {
    if (weights.model.kind === 'VGG') return (await adaptedNet(weights, options)).net
    const net = await createModel(weights.model, options)
    return filled(net, async () => {
      await weights.fill(net, { kept: new Set(net.parameters.map(({ name }) => name)), firstLayer: undefined })
      return net
    })
  })
}
