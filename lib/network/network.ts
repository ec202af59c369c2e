import { inspect } from 'node:util'
import { endsOf, type Layer, layersWithParameters, type Parameter, parametersOf, tensorNames } from '../layer.js'
import { instanceOf, integer, readOptions } from '../options.js'
import type { NativeNetwork, ParameterArray, QueueTime, StageTime } from '../platform/native.js'
import type { Precision } from '../platform/native-description.js'
import type { Tensor } from '../tensor.js'
import {
  type BackwardOptions,
  backwardOptions,
  backwardStart,
  checkClassNames,
  checkHead,
  type ForwardOptions,
  forwardOptions,
  type Labels,
  labelsOf,
  namesOf,
  parameterNamed,
  type StepOptions,
  stepOptions,
  tensorOf,
  tensorsOf,
  type UpdateOptions,
  updateOptions,
  valuesFor,
} from './arguments.js'
import { CallQueue } from './call-queue.js'
import { type Copied, type CopyOptions, copiedLayers, copyParameters } from './copy.js'
import { ImageInput } from './images.js'
import { layersIn } from './layer-groups.js'
import {
  type NetworkOptions,
  type NetworkParts,
  networkChecks,
  type OpenedRun,
  openedParts,
  openNative,
} from './open.js'

/**
 * A network on a device. Calls are executed one after another, in the order in which they were made, off the event loop.
 * A call copies its tensors before it returns its promise. Every method throws DISPOSED after `dispose`, and INVALID_ARGUMENT
 * or SHAPE_MISMATCH for invalid arguments; the network remains usable then. The type parameters name tensors and layers.
 */
export class Network<TensorName extends string = string, LayerName extends string = string> {
  /** The layers as plain data, the input layer first. */
  readonly layers: readonly Layer[]
  /** Names and shapes of all weights and biases, in the order of the layers. */
  readonly parameters: readonly Parameter[]
  /** One name for each class; empty if there are no names. */
  readonly classNames: readonly string[]
  /** Device in use: 'cpu' or 'cuda:N'. */
  readonly device: string
  /** Why `auto` chose the device: the GPU's name, or the reason that none is used. Undefined for a named device. */
  readonly deviceReason: string | undefined
  /** Precision of activations and products. Parameters are always float32. */
  readonly precision: Precision
  /** Whether equal runs give equal bits, as requested. The CPU is always deterministic. */
  readonly deterministic: boolean
  /** Other settings that the results depend on. */
  readonly run: OpenedRun
  /** Number of channels of the images. */
  readonly channels: number
  /** Number of classes, the outputs of the last layer; 0 for a VGG net without a head. */
  readonly classes: number
  readonly #name: string
  readonly #tensors: readonly string[]
  readonly #images: ImageInput
  readonly #calls: CallQueue
  #frozen: ReadonlySet<string> = new Set()

  /** @internal Use `Network.create` or `VGG.create`. */
  constructor(parts: NetworkParts) {
    const { native, run, layers, classes, classNames, name } = openedParts(parts)
    this.layers = layers
    this.parameters = parametersOf(layers)
    this.classNames = classNames
    this.device = native.device
    this.deviceReason = native.deviceReason || undefined
    this.precision = native.precision
    this.deterministic = native.deterministic
    this.run = run
    this.channels = endsOf(layers).channels
    this.classes = classes
    this.#name = name
    this.#tensors = tensorNames(layers)
    this.#images = new ImageInput(layers)
    this.#calls = new CallQueue(native, name)
  }

  /**
   * Creates a network of custom layers with random weights.
   * @throws DEVICE_UNAVAILABLE, OUT_OF_MEMORY, UNSUPPORTED_PLATFORM, NATIVE_LOAD_FAILED, INVALID_ARGUMENT, SHAPE_MISMATCH
   */
  static async create(options: NetworkOptions): Promise<Network> {
    const read = readOptions(options, 'Network.create options', networkChecks)
    const { layers, classNames = [], ...run } = read
    const { classes } = endsOf(layers)
    checkClassNames(classNames, classes)
    const opened = await openNative(layers, run, read.initialisation)
    return new Network({ ...opened, layers, classes, classNames, name: 'The network' })
  }

  /** Number of training steps executed so far. Dropout masks depend on it. */
  get trainingStep(): number {
    return this.#calls.native.trainingStep()
  }

  /** Sets `trainingStep`, for a training that resumes from a file. @param step an integer of at least 0 */
  async setTrainingStep(step: number): Promise<void> {
    await this.#calls.call(integer(0)(step, 'step'), (native, to) => native.setTrainingStep(to))
  }

  /**
   * Computes the logits of a batch; a VGG net without a head refuses it. NaN and infinity are returned as computed.
   * @param images uint8 [n, h, w, c] or float32 [n, c, h, w], pixels from 0 to 255; with `from` the values of that tensor
   * @returns logits [n, classes]; for images larger than the network's, a class map [n, classes, h, w] (dense
   *   evaluation, Sect. 3.2)
   */
  async forward(images: Tensor, options?: ForwardOptions): Promise<Tensor<'float32'>> {
    checkHead(this, 'forward')
    const { output } = await this.#forward(images, options, 'forward options')
    return tensorOf(output)
  }

  /**
   * Computes tensors inside the network. They have the paper's names: 'conv4_2' before its ReLU, 'relu4_2' after it,
   * 'pool1', 'fc7', 'relu7', 'fc8'. With `training`, `backward` can then inject gradients at the same names; the default
   * is evaluation mode. NaN and infinity are returned as computed.
   * @returns by name, float32 [n, c, h, w]; [n, c] for a linear layer whose output is 1x1
   */
  async features<const Name extends TensorName>(
    images: Tensor,
    names: readonly Name[],
    options?: Omit<ForwardOptions, 'keep'>,
  ): Promise<{ [Key in Name]: Tensor<'float32'> }> {
    const keep = namesOf(names, 'names', this.#tensors)
    const { kept } = await this.#forward(images, { ...options, keep }, 'features options')
    return tensorsOf(kept)
  }

  /**
   * Computes the gradients of all parameters that are not frozen, after `forward(x, { training: true })`; `gradient`
   * returns them. They are valid until the parameters or the set of frozen layers change; `update` and `step` consume them.
   * @param from labels, for softmax cross-entropy (mean over the batch); or the gradient of another loss with respect to
   *   the logits, of their shape; without a head, with respect to the last pool
   * @returns the loss if labels were given; the gradient of the images, float32 [n, c, h, w] per unit of their pixel
   *   scale, if `forward` had `inputGradient`
   * @throws STATE without a forward pass in training mode since the last change of the parameters, or with `accumulate`
   *   if the gradients have become invalid; NOT_FINITE with the name of the first layer that is not finite
   */
  async backward(
    from: Labels | { gradient: Tensor<'float32'> },
    options?: BackwardOptions,
  ): Promise<{ loss?: number; inputGradient?: Tensor<'float32'> }> {
    const { inject, ...rest } = readOptions(options, 'backward options', backwardOptions(this.#tensors))
    const start = backwardStart(from, this)
    const argument = { ...start, ...rest, ...(inject && { inject }) }
    const { loss, inputGradient } = await this.#calls.call(argument, (native, call) => native.backward(call))
    return { ...('labels' in start && { loss }), ...(inputGradient && { inputGradient: tensorOf(inputGradient) }) }
  }

  /**
   * Returns a copy of the gradient of a parameter from the last `backward`, in its shape: [o, i, h, w] for a convolution.
   * @throws STATE if gradients are not valid (see `backward`) or the layer is frozen
   */
  async gradient(name: string): Promise<Tensor<'float32'>> {
    return this.#read('gradient', name)
  }

  /** Returns a copy of a parameter: 'conv1_1.weight' [64, 3, 3, 3], 'fc6.bias' [4096]. */
  async parameter(name: string): Promise<Tensor<'float32'>> {
    return this.#read('parameter', name)
  }

  /** Replaces a parameter by a copy of `values` of the same shape. The momentum buffer is not changed. */
  async setParameter(name: string, values: Tensor<'float32'>): Promise<void> {
    const copied = valuesFor(parameterNamed(name, this.parameters), values)
    await this.inTurn((native) => native.write('parameter', name, 0, copied))
  }

  /** @internal Makes a native call in its turn. What it is given stays as it is until the promise is settled. */
  inTurn<R>(call: (native: NativeNetwork) => Promise<R>): Promise<R> {
    return this.#calls.call(undefined, call)
  }

  /** Returns a copy of the momentum buffer of a parameter, v of `update`; 0 before the first update. */
  async velocity(name: string): Promise<Tensor<'float32'>> {
    return this.#read('velocity', name)
  }

  /** Replaces the momentum buffer of a parameter by a copy of `values` of the same shape. */
  async setVelocity(name: string, values: Tensor<'float32'>): Promise<void> {
    const copied = valuesFor(parameterNamed(name, this.parameters), values)
    await this.inTurn((native) => native.write('velocity', name, 0, copied))
  }

  /**
   * Updates the parameters by SGD with momentum in Caffe's form (Sect. 3.1):
   * v = momentum * v - rate * (gradient + decay * w); w = w + v.
   * @throws STATE if gradients are not valid (see `backward`); NOT_FINITE if a gradient is not finite: nothing is changed
   */
  async update(options: UpdateOptions<LayerName>): Promise<void> {
    const { rateFactors: rates, ...update } = readOptions(options, 'update options', updateOptions(this.layers))
    await this.#calls.call({ ...update, rates }, (native, call) => native.update(call))
  }

  /**
   * Executes one training step: forward, loss, backward, update. The gradients cannot be read afterwards.
   * @param images uint8 [n, h, w, c] or float32 [n, c, h, w], pixels from 0 to 255; with `from` the values of that tensor
   * @param labels n integers from 0 to classes - 1
   * @returns the mean loss before the update, and the number of images whose class is ranked first, and in the first five
   * @throws NOT_FINITE with the name of the first layer that is not finite: nothing is changed
   */
  async step(
    images: Tensor,
    labels: Labels,
    options: StepOptions<LayerName>,
  ): Promise<{ loss: number; correct: number; correct5: number }> {
    checkHead(this, 'step')
    const checks = stepOptions(this.layers)
    const { augment, from, rateFactors: rates, ...update } = readOptions(options, 'step options', checks)
    const batch = this.#images.read(images, augment, from)
    const argument = { images: batch, labels: labelsOf(labels, this.classes, batch.shape[0]), ...update, rates }
    return this.#calls.call(argument, (native, call) => native.step(call))
  }

  /** Names of the frozen layers. */
  get frozen(): readonly LayerName[] {
    return layersWithParameters(this.layers).filter((name) => this.#frozen.has(name)) as LayerName[]
  }

  /** Freezes layers, blocks ('conv1'), 'convolutions' or 'head': no update changes them, by gradient, decay or momentum. */
  freeze(names: readonly LayerName[]): void {
    this.#setFrozen(new Set([...this.#frozen, ...layersIn(this.layers, names, 'names')]))
  }

  /** Unfreezes layers, named as in `freeze`. Default: all. */
  unfreeze(names?: readonly LayerName[]): void {
    const thawed = new Set(layersIn(this.layers, names ?? layersWithParameters(this.layers), 'names'))
    this.#setFrozen(new Set([...this.#frozen].filter((name) => !thawed.has(name))))
  }

  /**
   * Copies weights and biases of layers from another network; layers are matched by name (Sect. 3.1).
   * @returns the copied layers and, with `layers: 'all'`, those whose shapes differ
   * @throws SHAPE_MISMATCH if the shapes of a named layer differ, or those of all layers; nothing is copied then
   */
  async initialiseFrom(other: Network, options: CopyOptions): Promise<Copied> {
    const { layers } = readOptions(options, 'initialiseFrom options', { layers: copiedLayers(this.layers) })
    return copyParameters(instanceOf(Network)(other, 'other'), this.layers, layers, (writes) =>
      this.#calls.together(writes),
    )
  }

  /** Measures the stages one by one on these images, in training mode. The parameters are not changed. */
  async profile(images: Tensor): Promise<StageTime[]> {
    return this.#calls.call({ images: this.#images.read(images), training: true }, (native, call) =>
      native.profile(call),
    )
  }

  /** Returns how the host kept the GPU's queue filled, for each step and forward pass since the last call of this method. */
  async queueTimes(): Promise<QueueTime[]> {
    return this.#calls.call(undefined, (native) => native.queueTimes())
  }

  /** Frees the memory at once, without waiting for garbage collection. Pending calls complete or reject with DISPOSED. */
  dispose(): void {
    this.#calls.dispose()
  }

  /** Calls `dispose`: `using net = await VGG.create(...)` disposes at the end of the block (Node 24, or compiled by tsc). */
  [Symbol.dispose](): void {
    this.dispose()
  }

  /** @internal */
  [inspect.custom](): string {
    return `${this.#name}: ${layersWithParameters(this.layers).length} layers with parameters on ${this.device}`
  }

  async #forward(images: Tensor, options: ForwardOptions | undefined, name: string) {
    const { augment, from, ...rest } = readOptions(options, name, forwardOptions(this.#tensors))
    const argument = { images: this.#images.read(images, augment, from), ...rest }
    return this.#calls.call(argument, (native, call) => native.forward(call))
  }

  async #read(kind: ParameterArray, name: string): Promise<Tensor<'float32'>> {
    const found = parameterNamed(name, this.parameters)
    return tensorOf(await this.#calls.call(found.name, (native, of) => native.read(kind, of)))
  }

  #setFrozen(frozen: ReadonlySet<string>): void {
    const freezing = this.#calls.call([...frozen], (native, layers) => native.freeze(layers))
    this.#frozen = frozen
    // the names are checked: only disposal rejects this, and then later calls report it
    freezing.catch(() => undefined)
  }
}
