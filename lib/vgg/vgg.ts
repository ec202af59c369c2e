import { layersWithParameters } from '../layer.js'
import { layersIn } from '../network/layer-groups.js'
import { Network } from '../network/network.js'
import {
  type Initialisation,
  initialisation,
  type NetworkParts,
  openNative,
  type RunOptions,
  runChecks,
} from '../network/open.js'
import { arrayOf, readOptions, text, unexpected, withDefault } from '../options.js'
import { adaptChecks, adaptedConfiguration } from './adapted.js'
import { configurationOf, outputs, readModel, type VggConfiguration, vggLayers } from './configuration.js'
import type { LayerName, TensorName } from './layer-names.js'
import type { HeadlessOptions, VggOptions } from './options.js'
import { type Origin, origin } from './origin.js'
import { type Preprocessing, preprocessing } from './preprocessing.js'
import type { LetterOf, VariantName, VariantRow } from './variants.js'

/**
 * Names of the layers that the paper's deeper nets copy from A (Sect. 3.1):
 * `deeper.initialiseFrom(a, { layers: layersOfA })`. Layers are matched by name; matched by index, the shapes differ.
 */
export const layersOfA: readonly string[] = ['conv1_1', 'conv2_1', 'conv3_1', 'conv3_2', 'fc6', 'fc7', 'fc8']

// A subclass's static method must take what its base's takes; this base has no static methods.
const Base: new <Tensors extends string, Layers extends string>(parts: NetworkParts) => Network<Tensors, Layers> =
  Network

/**
 * A VGG net (Simonyan & Zisserman 2015): one of the six configurations of Table 1, or a custom row of that table. It
 * has all methods of {@link Network}. `VGG<'D'>` knows the names of its layers; `VGG` is a net of any configuration.
 */
export class VGG<Letter extends string = string> extends Base<TensorName<Letter>, LayerName<Letter>> {
  #configuration: VggConfiguration
  /** Letter of the configuration in the paper, or the name of the custom row. */
  readonly variant: Letter

  private constructor(parts: NetworkParts, configuration: VggConfiguration) {
    super(parts)
    this.#configuration = configuration
    this.variant = configuration.variant.name as Letter
  }

  /**
   * Creates a VGG net with random weights. Images are uint8 [n, h, w, c] or float32 [n, c, h, w], pixels from 0 to 255.
   * @throws INVALID_ARGUMENT, SHAPE_MISMATCH, DEVICE_UNAVAILABLE, OUT_OF_MEMORY, UNSUPPORTED_PLATFORM,
   *   NATIVE_LOAD_FAILED
   */
  static async create<const Given extends VariantName | VariantRow>(
    options: VggOptions<Given> | (HeadlessOptions<Given> & RunOptions),
  ): Promise<VGG<LetterOf<Given>>> {
    const read = readModel(options, 'VGG.create options', runChecks)
    const { device, precision, deterministic, seed, threads, exact, memoryLimit, group, ...model } = read
    const run = { device, precision, deterministic, seed, threads, exact, memoryLimit, group }
    const configuration = configurationOf(model)
    const layers = vggLayers(configuration)
    const opened = await openNative(layers, run, model.initialisation)
    const { classes = 0, variant } = configuration
    const name = `The VGG net ${variant.name}`
    return new VGG({ ...opened, layers, classes, classNames: model.classNames, name }, configuration)
  }

  /** Complete configuration, defaults filled in. */
  get configuration(): VggConfiguration {
    return this.#configuration
  }

  /** Preprocessing of the images before they enter the network, saved with the model; undefined if unknown. */
  get preprocessing(): Preprocessing | undefined {
    return this.#configuration.preprocessing
  }

  /** Replaces the preprocessing, for example for fine-tuning at another S. @throws INVALID_ARGUMENT */
  set preprocessing(value: Preprocessing) {
    this.#configuration = { ...this.#configuration, preprocessing: preprocessing(value, 'preprocessing') }
  }

  /** Where the weights come from that the network began with; undefined for random ones and those of this package. */
  get origin(): Origin | undefined {
    return this.#configuration.origin
  }

  /** @internal */
  set origin(value: Origin) {
    this.#configuration = { ...this.#configuration, origin: origin(value, 'origin') }
  }

  /** Height and width in pixels of the images that the network was created for. */
  get imageSize(): readonly [height: number, width: number] {
    return this.configuration.imageSize
  }
}

/** Options of `replaceHead`. Device, precision, threads, ... default to those of the given network. */
export interface HeadOptions extends RunOptions {
  /** Number of classes, the outputs of fc8; at least 1. */
  classes: number
  /** Outputs of fc6 and of fc7. With another number than the network's, both are new as well. Default: the network's, or 4096. */
  headWidth?: number | undefined
  /** Dropout probability of fc6 and fc7, 0 to below 1. Default: the network's, or 0.5. */
  dropout?: number | undefined
  /** One name for each class. Default: none. */
  classNames?: readonly string[] | undefined
  /** Distribution of the new layers' initial weights. Default `glorot`. */
  initialisation?: Initialisation | undefined
}

const headChecks = {
  classes: outputs,
  headWidth: adaptChecks.headWidth,
  dropout: adaptChecks.dropout,
  classNames: withDefault(arrayOf(text), []),
  initialisation,
}

/**
 * Creates a network with a new last layer, for other classes (fine-tuning). It has the same configuration, mean and
 * preprocessing; the parameters of all other layers are copied, and no layer is frozen. The given network is not
 * changed, and the caller disposes of it. A network without a head gets fc6, fc7 and fc8, for images of its `imageSize`.
 * `load(path, { head: 'none' })` is the inverse.
 * @throws INVALID_ARGUMENT, SHAPE_MISMATCH, DISPOSED, OUT_OF_MEMORY, and the errors of `VGG.create`
 */
export async function replaceHead<Letter extends string>(net: VGG<Letter>, options: HeadOptions): Promise<VGG<Letter>> {
  if (!(net instanceof VGG)) throw unexpected('a VGG', 'net', net)
  const { classes, headWidth, dropout } = readOptions(options, 'replaceHead options', { ...runChecks, ...headChecks })
  const { configuration } = adaptedConfiguration(net.configuration, { classes, headWidth, dropout })
  const sameWidth = configuration.headWidth === net.configuration.headWidth
  const kept = sameWidth
    ? layersWithParameters(net.layers).slice(0, -1)
    : layersIn(net.layers, ['convolutions'], 'layers')
  return recreated(net, configuration, options, kept)
}

/** A network of this configuration on the same device, but for `changes`, with the parameters of `layers` copied. */
async function recreated<Letter extends string>(
  net: VGG<Letter>,
  configuration: VggConfiguration,
  changes: Pick<HeadOptions, 'classNames' | 'initialisation'> & RunOptions,
  layers: readonly string[],
): Promise<VGG<Letter>> {
  const given = Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined))
  const { device, precision, deterministic, group } = net
  const { seed, threads, exact } = net.run
  const same = { device: device as 'cpu' | `cuda:${number}`, deterministic, seed, threads, exact, group }
  // another device has its own default precision
  const ownPrecision = given.device === undefined ? { precision } : {}
  const made = await VGG.create({ ...same, ...ownPrecision, ...given, ...configuration })
  try {
    await made.initialiseFrom(net, { layers })
    return made as VGG<Letter>
  } catch (error) {
    made.dispose()
    throw error
  }
}
