import { inspect } from 'node:util'
import { VggError } from '../error.js'
import { endsOf, type Layer, layersWithParameters, type Parameter, parametersOf, tensorNames } from '../layer.js'
import { arrayOf, instanceOf, integer, optional, readOptions, text, unknownName } from '../options.js'
import type { ParameterArray } from '../platform/native.js'
import type { Precision } from '../platform/native-description.js'
import { shapeText, type Tensor } from '../tensor.js'
import {
  type BackwardOptions,
  backwardOptions,
  backwardStart,
  checkClassNames,
  type ForwardOptions,
  floatsOf,
  forwardOptions,
  imagesOf,
  type Labels,
  labelsOf,
  namesOf,
  type StepOptions,
  stepOptions,
  tensorOf,
  tensorsOf,
  type UpdateOptions,
  updateOptions,
} from './arguments.js'
import { CallQueue } from './call-queue.js'
import { checkedLayers } from './check.js'
import { type Copied, type CopyOptions, copiedLayers, copyParameters } from './copy.js'
import type { NetworkOptions, NetworkParts } from './network-parts.js'
import { initialisation, openNative, runChecks } from './open.js'
import { type OpenedRun, openedRun } from './opened-run.js'

/**
 * A network on a device. Calls run one after another in the order in which they were made, off the event loop; each
 * copies its tensors at once. Every method throws DISPOSED after `dispose`, and INVALID_ARGUMENT or SHAPE_MISMATCH
 * for what does not fit; the network stays usable after an error.
 */
export class Network {
  /** The description: plain data, the input first. */
  readonly layers: readonly Layer[]
  /** All weights and biases, in the order of the layers. */
  readonly parameters: readonly Parameter[]
  /** One name for each class, or empty. */
  readonly classNames: readonly string[]
  /** The device in use: 'cpu' or 'cuda:0'. */
  readonly device: string
  /** What `auto` went by: the card's name, or why it took none; undefined where the device was named. */
  readonly deviceReason: string | undefined
  /** Of activations and products; parameters are float32 always. */
  readonly precision: Precision
  /** As asked for. */
  readonly deterministic: boolean
  /** What else its arithmetic depends on. */
  readonly run: OpenedRun
  /** Channels of the images. */
  readonly channels: number
  /** Outputs of the last layer. */
  readonly classes: number
  readonly #name: string
  readonly #trainable: readonly string[]
  readonly #tensors: readonly string[]
  readonly #calls: CallQueue
  #frozen: ReadonlySet<string> = new Set()

  /** @internal Programs call `Network.create` or `VGG.create`. */
  constructor({ native, layers, classNames, name }: NetworkParts) {
    this.layers = layers
    this.parameters = parametersOf(layers)
    this.classNames = classNames
    this.device = native.device
    this.deviceReason = native.deviceReason || undefined
    this.precision = native.precision
    this.deterministic = native.deterministic
    this.run = openedRun(native)
    this.channels = endsOf(layers).channels
    this.classes = endsOf(layers).classes
    this.#name = name
    this.#trainable = layersWithParameters(layers)
    this.#tensors = tensorNames(layers)
    this.#calls = new CallQueue(native, name)
  }

  /**
   * A network of layers of your own, with random weights.
   * @throws DEVICE_UNAVAILABLE, OUT_OF_MEMORY, UNSUPPORTED_PLATFORM, NATIVE_LOAD_FAILED, INVALID_ARGUMENT, SHAPE_MISMATCH
   */
  static async create(options: NetworkOptions): Promise<Network> {
    const checks = { ...runChecks, layers: checkedLayers, initialisation, classNames: optional(arrayOf(text)) }
    const read = readOptions(options, 'Network.create options', checks)
    const { layers, classNames = [], ...run } = read
    checkClassNames(classNames, endsOf(layers).classes)
    const native = await openNative(layers, run, read.initialisation)
    return new Network({ native, layers, classNames, name: 'The network' })
  }

  /** Training steps done: the number that dropout masks are drawn by. */
  get trainingStep(): number {
    return this.#calls.native.trainingStep()
  }

  /** Sets that number, as a training does that goes on from a file: an integer from 0. */
  async setTrainingStep(step: number): Promise<void> {
    await this.#calls.call(integer(0)(step, 'step'), (native, to) => native.setTrainingStep(to))
  }

  /**
   * The logits of a batch: [n, classes], or a class map [n, classes, h, w] for images larger than the network's
   * (dense evaluation, Sect. 3.2). NaN and infinity are returned as computed.
   * @param images uint8 [n, h, w, c] or float32 [n, c, h, w], pixels from 0 to 255
   */
  async forward(images: Tensor, options?: ForwardOptions): Promise<Tensor<'float32'>> {
    const { output } = await this.#forward(images, options, 'forward options')
    return tensorOf(output)
  }

  /**
   * Tensors inside the network, by the paper's names: 'conv4_2' before its ReLU, 'relu4_2' after it, 'pool1', 'fc7',
   * 'relu7', 'fc8'. Float32 [n, c, h, w]; [n, c] for a linear layer with one position. Evaluation mode unless
   * `training` is asked for, after which `backward` can inject gradients at the same names. NaN and infinity are
   * returned as computed.
   */
  async features(
    images: Tensor,
    names: readonly string[],
    options?: Omit<ForwardOptions, 'keep'>,
  ): Promise<Record<string, Tensor<'float32'>>> {
    const keep = namesOf(names, 'names', this.#tensors)
    const { kept } = await this.#forward(images, { ...options, keep }, 'features options')
    return tensorsOf(kept)
  }

  /**
   * Gradients of all parameters that are not frozen, after `forward(x, { training: true })`; read them with
   * `gradient`. They are valid until the parameters, or which layers are frozen, change; `update` and `step` use them up.
   * @param from the labels, for soft-max with cross-entropy (mean over the batch), or the gradient of a loss of your
   *   own with respect to the logits, of their shape
   * @returns the loss when labels were given, and the gradient of the images, float32 [n, c, h, w] in their pixel
   *   scale, when `forward` was asked to prepare for it
   * @throws STATE without a forward pass in training since the last change of the parameters, or with `accumulate` where
   *   the gradients have become invalid; NOT_FINITE naming the first bad layer
   */
  async backward(
    from: Labels | { gradient: Tensor<'float32'> },
    options?: BackwardOptions,
  ): Promise<{ loss?: number; inputGradient?: Tensor<'float32'> }> {
    const { inject, ...rest } = readOptions(options, 'backward options', backwardOptions(this.#tensors))
    const start = backwardStart(from, this.classes)
    const argument = { ...start, ...rest, ...(inject && { inject }) }
    const { loss, inputGradient } = await this.#calls.call(argument, (native, call) => native.backward(call))
    return { ...('labels' in start && { loss }), ...(inputGradient && { inputGradient: tensorOf(inputGradient) }) }
  }

  /**
   * The gradient that the last `backward` left, in logical order: [o, i, h, w] for a convolution.
   * @throws STATE where gradients are not valid (see `backward`), or the layer is frozen
   */
  async gradient(name: string): Promise<Tensor<'float32'>> {
    return this.#read('gradient', name)
  }

  /** A copy of a parameter: 'conv1_1.weight' [64, 3, 3, 3], 'fc6.bias' [4096]. */
  async parameter(name: string): Promise<Tensor<'float32'>> {
    return this.#read('parameter', name)
  }

  /** Replaces a parameter by a copy of `values`, which have its shape; the momentum buffer stays as it is. */
  async setParameter(name: string, values: Tensor<'float32'>): Promise<void> {
    await this.#write('parameter', name, values)
  }

  /** A copy of the momentum buffer of a parameter, v of `update`: 0 before the first one. */
  async velocity(name: string): Promise<Tensor<'float32'>> {
    return this.#read('velocity', name)
  }

  /** Replaces the momentum buffer of a parameter by a copy of `values`, which have its shape. */
  async setVelocity(name: string, values: Tensor<'float32'>): Promise<void> {
    await this.#write('velocity', name, values)
  }

  /**
   * SGD with momentum in Caffe's form (Sect. 3.1): v = momentum * v - rate * (gradient + decay * w); w = w + v.
   * @throws STATE where gradients are not valid (see `backward`); NOT_FINITE when one is not finite: nothing is changed
   */
  async update(options: UpdateOptions): Promise<void> {
    const { rateFactors: rates, ...update } = readOptions(options, 'update options', updateOptions(this.#trainable))
    const argument = { ...update, rates }
    await this.#calls.call(argument, (native, call) => native.update(call))
  }

  /**
   * One step of training: forward, loss, backward, update. Gradients cannot be read after it.
   * @param images uint8 [n, h, w, c] or float32 [n, c, h, w]
   * @param labels n integers from 0 to classes - 1
   * @returns the mean loss before the update, and the images with the right class first, and among the first five
   * @throws NOT_FINITE naming the first bad layer: nothing is changed
   */
  async step(
    images: Tensor,
    labels: Labels,
    options: StepOptions,
  ): Promise<{ loss: number; correct: number; correct5: number }> {
    const checks = stepOptions(this.#trainable)
    const { augment, rateFactors: rates, ...update } = readOptions(options, 'step options', checks)
    const batch = imagesOf(images, 'images', this.channels, augment)
    const argument = { images: batch, labels: labelsOf(labels, this.classes, batch.shape[0]), ...update, rates }
    return this.#calls.call(argument, (native, call) => native.step(call))
  }

  /** The layers that `freeze` took out of training. */
  get frozen(): readonly string[] {
    return this.#trainable.filter((name) => this.#frozen.has(name))
  }

  /** Layers that no update changes, neither by gradient nor by decay or momentum; added to those frozen before. */
  freeze(names: readonly string[]): void {
    this.#setFrozen(new Set([...this.#frozen, ...namesOf(names, 'names', this.#trainable)]))
  }

  /** Thaws these layers, or all. */
  unfreeze(names: readonly string[] = this.#trainable): void {
    const thawed = new Set(namesOf(names, 'names', this.#trainable))
    this.#setFrozen(new Set([...this.#frozen].filter((name) => !thawed.has(name))))
  }

  /**
   * Copies weights and biases from another network, layer by layer, by name (Sect. 3.1).
   * @returns the layers copied and, with `layers: 'all'`, those that do not fit
   * @throws SHAPE_MISMATCH where a layer that was named does not fit, or none does; nothing is copied then
   */
  async initialiseFrom(other: Network, options: CopyOptions): Promise<Copied> {
    const checks = { layers: copiedLayers(this.#trainable) }
    const { layers } = readOptions(options, 'initialiseFrom options', checks)
    return copyParameters(instanceOf(Network)(other, 'other'), this.layers, layers, (writes) =>
      this.#calls.together(writes),
    )
  }

  /**
   * Milliseconds of each stage on these images, run one by one in training mode, and the multiply-adds of its forward
   * pass. Changes no parameter.
   */
  async profile(
    images: Tensor,
  ): Promise<{ name: string; forwardMs: number; backwardMs: number; multiplyAdds: number }[]> {
    const argument = { images: imagesOf(images, 'images', this.channels, undefined), training: true }
    return this.#calls.call(argument, (native, call) => native.profile(call))
  }

  /** Frees the memory at once, without waiting for garbage collection. Calls under way are finished or end DISPOSED. */
  dispose(): void {
    this.#calls.dispose()
  }

  /** As `dispose`: `using net = await VGG.create(...)` disposes at the end of the block (Node 24, or compiled by tsc). */
  [Symbol.dispose](): void {
    this.dispose()
  }

  /** @internal */
  [inspect.custom](): string {
    return `${this.#name}: ${this.#trainable.length} layers with parameters on ${this.device}`
  }

  async #forward(images: Tensor, options: ForwardOptions | undefined, name: string) {
    const { augment, ...rest } = readOptions(options, name, forwardOptions(this.#tensors))
    const argument = { images: imagesOf(images, 'images', this.channels, augment), ...rest }
    return this.#calls.call(argument, (native, call) => native.forward(call))
  }

  #parameter(name: string): Parameter {
    const found = this.parameters.find((parameter) => parameter.name === name)
    if (found !== undefined) return found
    const known = this.parameters.map((parameter) => parameter.name)
    throw unknownName(text(name, 'name'), 'name', known)
  }

  async #read(kind: ParameterArray, name: string): Promise<Tensor<'float32'>> {
    const found = this.#parameter(name)
    return tensorOf(await this.#calls.call(found.name, (native, of) => native.read(kind, of)))
  }

  async #write(kind: ParameterArray, name: string, values: Tensor<'float32'>): Promise<void> {
    const { shape } = this.#parameter(name)
    const given = floatsOf(values, 'values')
    if (shapeText(shape) !== shapeText(given.shape)) {
      const message = `Expected shape ${shapeText(shape)} for ${name} but received shape ${shapeText(given.shape)}`
      throw new VggError('SHAPE_MISMATCH', message)
    }
    await this.#calls.call(given.data, (native, data) => native.write(kind, name, data))
  }

  #setFrozen(frozen: ReadonlySet<string>): void {
    const freezing = this.#calls.call([...frozen], (native, layers) => native.freeze(layers))
    this.#frozen = frozen
    // the names are known good: only disposal ends this, and then the calls behind it say so
    freezing.catch(() => undefined)
  }
}
