// Mirrors the result of native/addon/describe.cpp: the plan of a network at one shape.

/**
 * The precision in which a device stores activations and multiplies. Parameters, their gradients and the loss are always float32.
 * The CPU supports `float32` only; `bf16` and `tf32` need an NVIDIA GPU of architecture sm_80 or later.
 */
export type Precision = 'bf16' | 'tf32' | 'float32'

/** One array of weights or biases in a {@link Description}. */
export interface DescribedParameter {
  /** The name of the parameter: 'conv1_1.weight', 'fc8.bias'. */
  name: string
  /** The name of its layer: 'conv1_1'. */
  layer: string
  /** Whether the array contains weights or biases. */
  role: 'weight' | 'bias'
  /** The shape in logical order: [o, i, h, w] of a convolution, [o, c * h * w] of a linear layer, [o] of a bias. */
  shape: number[]
  /** The number of elements. */
  count: number
  /** The number of inputs of one output, which He's and Glorot's initialisation use. */
  fanIn: number
  /** The number of outputs that use one input, which Glorot's initialisation uses. */
  fanOut: number
}

/** One layer in a {@link Description}. Shapes are [n, c, h, w] and include the whole batch. */
export interface DescribedLayer {
  /** The name of the layer: 'conv1_1', 'pool1', 'fc6'. */
  name: string
  /** The kind of layer: 'input', 'convolution', 'max-pool', 'local-norm', 'linear' or 'spatial-mean'. */
  kind: string
  /** The shape of the input. */
  input: number[]
  /** The shape of the output. */
  output: number[]
  /** The number of multiply-adds that a direct computation of the forward pass needs, for the whole batch. */
  multiplyAdds: number
  /** The number of weights and biases. */
  parameters: number
}

/** A stage: one layer, or two fused layers, as a device computes it. */
export interface DescribedStage extends DescribedLayer {
  /** Scratch memory in bytes while the stage runs. */
  workspaceBytes: number
  /** Memory in bytes that is kept from forward to backward, besides activations. */
  savedBytes: number
  /** The algorithm of the forward pass and, in training, of the gradients of input and weights: 'winograd/winograd/direct'. */
  algorithm: string
}

/** The plan of a network at one input shape, with its memory and its work. Computed without allocating that memory. */
export interface Description {
  /** The device: 'cpu' or 'cuda'. */
  device: string
  /** The precision of the plan. */
  precision: Precision
  /** The weights and biases, in the order of the layers. */
  parameters: DescribedParameter[]
  /** The total number of weights and biases, as the paper counts them. */
  parameterCount: number
  /** Memory of the weights and biases, in bytes. */
  parameterBytes: number
  /** Memory of gradients and velocities, in bytes; 0 unless the plan is for training. */
  optimizerBytes: number
  /** The layers, by the paper's names. */
  layers: DescribedLayer[]
  /** The stages that the device runs. A convolution and the pool after it are one stage, 'conv1_2+pool1'. */
  stages: DescribedStage[]
  /**
   * Every tensor in the arena: its size and offset in bytes, and its first and last use. Uses are counted in stages, the forward
   * pass from 0 on, then the backward pass. Two tensors that are alive at the same time share no byte.
   */
  tensors: { name: string; bytes: number; offset: number; firstUse: number; lastUse: number }[]
  /** Memory of activations, their gradients, saved state and workspace, in bytes. */
  arenaBytes: number
  /** The largest workspace of a stage, in bytes. All stages share it; it is part of `arenaBytes`. */
  workspaceBytes: number
  /** The sum of parameterBytes, optimizerBytes and arenaBytes. */
  totalBytes: number
  /** The number of multiply-adds of the forward pass, for the whole batch. */
  multiplyAdds: number
  /**
   * The most images that a batch or micro-batch may have, whatever the memory: on a GPU no tensor may have 2^31 elements, counted
   * with its channels padded to eights. On the CPU 2^31 - 1.
   */
  largestBatch: number
}
