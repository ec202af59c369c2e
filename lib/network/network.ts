import { inspect } from 'node:util'
import type { Group } from '../group/group.js'
import { endsOf, type Layer, layersWithParameters } from '../layer.js'
import { instanceOf, integer, readOptions } from '../options.js'
import type { QueueTime, StageTime, StepAnswer } from '../platform/native.js'
import type { Precision } from '../platform/native-description.js'
import type { Tensor } from '../tensor.js'
import { type KnownTensors, knownTensors, type TensorAlias } from './aliases.js'
import {
  type BackwardOptions,
  backwardCall,
  checkClassNames,
  checkHead,
  type ForwardOptions,
  forwardOptions,
  type StepOptions,
  stepOptions,
  tensorOf,
  tensorsNamed,
  type UpdateOptions,
  updateOptions,
} from './arguments.js'
import { CallQueue } from './call-queue.js'
import { type Copied, type CopyOptions, copiedLayers, copyParameters } from './copy.js'
import { ImageInput, noImages } from './images.js'
import { type Labels, labelsOf } from './labels.js'
import { layersIn } from './layer-groups.js'
import {
  type NetworkOptions,
  type NetworkParts,
  networkChecks,
  type OpenedRun,
  openedParts,
  openNative,
} from './open.js'
import { ParameterArrays } from './parameter-arrays.js'
import { type Cotangent, type TensorsByName, type VjpOptions, vjp } from './vjp.js'

/**
 * A network on a device. Calls are executed one after another, in the order in which they were made, off the event loop.
 * A call copies its tensors before it returns its promise. Every method throws DISPOSED after `dispose`, and INVALID_ARGUMENT
 * or SHAPE_MISMATCH for invalid arguments; the network remains usable then. The type parameters name tensors and layers.
 */
export class Network<TensorName extends string = string, LayerName extends string = string> extends ParameterArrays {
  /** The layers as plain data, the input layer first. */
  readonly layers: readonly Layer[]
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
  /** The ranks that compute the steps of this network together; undefined for a network that computes alone. */
  readonly group: Group | undefined
  /** Number of channels of the images. */
  readonly channels: number
  /** Number of classes, the outputs of the last layer; 0 for a VGG net without a head. */
  readonly classes: number
  readonly #name: string
  readonly #tensors: KnownTensors
  readonly #images: ImageInput
  readonly #calls: CallQueue
  #frozen: ReadonlySet<string> = new Set()

  /** @internal Use `Network.create` or `VGG.create`. */
  constructor(parts: NetworkParts) {
    const { native, run, group, layers, classes, classNames, name } = openedParts(parts)
    const calls = new CallQueue(native, name)
    super(calls, layers)
    this.layers = layers
    this.classNames = classNames
    this.device = native.device
    this.deviceReason = native.deviceReason || undefined
    this.precision = native.precision
    this.deterministic = native.deterministic
    this.run = run
    this.group = group
    this.channels = endsOf(layers).channels
    this.classes = classes
    this.#name = name
    this.#tensors = knownTensors(layers)
    this.#images = new ImageInput(layers)
    this.#calls = calls
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
   * Computes tensors inside the network, and nothing after the last of them, so that any image size that these layers take is
   * accepted. They have the paper's names: 'conv4_2' before its ReLU, 'relu4_2' after it, 'pool1', 'fc7', 'relu7', 'fc8';
   * those of torchvision ('features.21') and Keras ('block4_conv2', after its ReLU) are accepted too. With `training` the
   * whole network is computed, and `backward` can inject gradients at the same names. NaN and infinity are returned as computed.
   * @returns by name, float32 [n, c, h, w]; [n, c] for a linear layer whose output is 1x1
   */
  async features<const Name extends TensorName | TensorAlias>(
    images: Tensor,
    names: readonly Name[],
    options?: Omit<ForwardOptions, 'keep'>,
  ): Promise<TensorsByName<Name>> {
    const own = tensorsNamed(names, 'names', this.#tensors)
    const keep = [...new Set(own.values())]
    // a backward pass may follow one in training mode
    const more = options?.training ? {} : ({ onlyKept: true } as const)
    const { kept } = await this.#forward(images, { ...options, keep }, 'features options', more)
    return Object.fromEntries([...own].map(([name, tensor]) => [name, tensorOf(kept[tensor])])) as TensorsByName<Name>
  }

  /**
   * Computes vector-Jacobian products in evaluation mode: the gradients of a loss with respect to tensors inside the network and
   * the images, from its gradients (cotangents) at tensors above them. Nothing above the highest of those is computed, and no
   * gradient of a parameter; valid ones stay. `wrt: ['relu3_3']` is the gradient at the output of the ReLU, ['conv3_3'] that at
   * its input. At 'image' it is per unit of the pixel scale, float32 [n, c, h, w].
   * @param cotangents by tensor name, float32 of the tensor's shape, or functions of the tensors' values
   * @returns by the names of `wrt`, of the tensors' shapes
   */
  async vjp<const Name extends TensorName | TensorAlias, const At extends TensorName | TensorAlias | 'image'>(
    images: Tensor,
    cotangents: { readonly [Key in Name]: Cotangent<Name> },
    options: VjpOptions<At>,
  ): Promise<TensorsByName<At>> {
    return vjp(this.#calls, this.#images.read(images), cotangents, options, this.#tensors)
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
    const argument = backwardCall(from, options, this, this.#tensors)
    const { loss, inputGradient } = await this.#calls.call(argument, (native, call) => native.backward(call))
    return { ...(argument.labels && { loss }), ...(inputGradient && { inputGradient: tensorOf(inputGradient) }) }
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
   * In a group the images are this rank's part of the batch, possibly none ([0, h, w, c]): the gradient is that of the whole batch,
   * images are numbered in the order of the ranks for dropout, and an error that one rank finds before it computes is thrown on all.
   * @returns of the whole batch and the same on all ranks: the mean loss before the update, the number of images whose class is
   *   ranked first, and in the first five, the number of images; and what the ranks have passed to each other
   * @throws NOT_FINITE with the name of the first layer that is not finite: nothing is changed; GROUP_LOST
   */
  async step(images: Tensor, labels: Labels, options: StepOptions<LayerName>): Promise<StepAnswer> {
    checkHead(this, 'step')
    const checks = stepOptions(this.layers)
    const { augment, from, rateFactors: rates, ...update } = readOptions(options, 'step options', checks)
    const none = this.group === undefined ? undefined : noImages(images, from)
    const batch = none ?? this.#images.read(images, augment, from)
    const numbers = none === undefined ? labelsOf(labels, this.classes, batch.shape[0]) : new Int32Array()
    return this.#calls.call({ images: batch, labels: numbers, ...update, rates }, (native, call) => native.step(call))
  }

  /**
   * Compares the parameters of all ranks by a hash of their bits; nothing without a group.
   * @throws GROUP_MISMATCH on all ranks, with the names of those that differ from rank 0
   */
  async checkSameParameters(): Promise<void> {
    await this.#calls.call(undefined, (native) => native.checkSameParameters())
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

  async #forward(images: Tensor, options: ForwardOptions | undefined, name: string, more: { onlyKept?: true } = {}) {
    const { augment, from, ...rest } = readOptions(options, name, forwardOptions(this.#tensors))
    const argument = { images: this.#images.read(images, augment, from), ...rest, ...more }
    return this.#calls.call(argument, (native, call) => native.forward(call))
  }

  #setFrozen(frozen: ReadonlySet<string>): void {
    const freezing = this.#calls.call([...frozen], (native, layers) => native.freeze(layers))
    this.#frozen = frozen
    // the names are checked: only disposal rejects this, and then later calls report it
    freezing.catch(() => undefined)
  }
}
