// What native/addon/describe.cpp answers: the plan of a network at one shape.

/**
 * How a device stores activations and multiplies; parameters, their gradients and the loss are float32 always. The cpu
 * has `float32` only; `bf16` and `tf32` need a card from sm_80 on.
 */
export type Precision = 'bf16' | 'tf32' | 'float32'

/** One array of weights or biases in a {@link Description}. */
export interface DescribedParameter {
  /** 'conv1_1.weight', 'fc8.bias'. */
  name: string
  /** The layer it belongs to: 'conv1_1'. */
  layer: string
  /** Which of the two it is. */
  role: 'weight' | 'bias'
  /** In logical order: [o, i, h, w] of a convolution, [o, c * h * w] of a linear layer, [o] of a bias. */
  shape: number[]
  /** The product of the shape. */
  count: number
  /** Inputs that one output is made of: what He's and Glorot's initialisation go by. */
  fanIn: number
  /** Outputs that one input goes into: what Glorot's initialisation goes by. */
  fanOut: number
}

/** One layer in a {@link Description}. Shapes are [n, c, h, w], of the whole batch. */
export interface DescribedLayer {
  /** 'conv1_1', 'pool1', 'fc6'. */
  name: string
  /** As in the description: 'input', 'convolution', 'max-pool', 'local-norm', 'linear', 'spatial-mean'. */
  kind: string
  /** Shape of what goes in. */
  input: number[]
  /** Shape of what comes out. */
  output: number[]
  /** Multiplications with an addition in the forward pass, of the whole batch, as a direct computation would need them. */
  multiplyAdds: number
  /** Weights and biases. */
  parameters: number
}

/** A layer, or two in one, as a device prepares it. */
export interface DescribedStage extends DescribedLayer {
  /** Scratch memory while it runs. */
  workspaceBytes: number
  /** Kept from forward to backward besides activations. */
  savedBytes: number
  /** Forward, and in training the gradients of input and weights: 'winograd/winograd/direct'. */
  algorithm: string
}

/** What a network takes and does at one input shape; computed without allocating any of it. */
export interface Description {
  /** 'cpu', 'cuda'. */
  device: string
  /** In which it is planned. */
  precision: Precision
  /** Weights and biases, in the order of the layers. */
  parameters: DescribedParameter[]
  /** Their numbers together, as the paper counts them. */
  parameterCount: number
  /** Weights and biases as stored. */
  parameterBytes: number
  /** Gradients and velocity; 0 unless for training. */
  optimizerBytes: number
  /** As described, by the paper's names. */
  layers: DescribedLayer[]
  /** As the device runs them: a convolution and the pool after it are one, 'conv1_2+pool1'. */
  stages: DescribedStage[]
  /**
   * Every tensor of the arena: its bytes, its position, and the first and last use, counted in stages: forward from 0 on,
   * then backward. Two tensors that are alive at a time share no byte.
   */
  tensors: { name: string; bytes: number; offset: number; firstUse: number; lastUse: number }[]
  /** Activations, their gradients, saved state and workspace together. */
  arenaBytes: number
  /** The largest of the stages', which they share; part of `arenaBytes`. */
  workspaceBytes: number
  /** parameterBytes + optimizerBytes + arenaBytes. */
  totalBytes: number
  /** Of the forward pass, for the whole batch. */
  multiplyAdds: number
}
