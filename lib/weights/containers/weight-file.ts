/** The kind of a file of weights, recognised by its first bytes. */
export type Container = 'safetensors' | 'torch' | 'hdf5' | 'caffe'

/** Element types of tensors that are read; all are converted to float32. */
export const floatTypes = ['F32', 'F16', 'BF16', 'F64'] as const

/** A tensor in a file of another program. */
export interface ForeignTensor {
  /**
   * Name in the file: 'features.0.weight' of PyTorch, 'block1_conv1/block1_conv1/kernel:0' of Keras, 'conv1_1.0' and
   * 'conv1_1.1' for the first and second blob of a layer of Caffe.
   */
  readonly name: string
  readonly shape: readonly number[]
  /** Element type: one of `floatTypes`, else a type that cannot be read, such as 'I64'. */
  readonly type: string
}

/** A layer that a file describes besides its tensors, as the network definition in a file of Caffe. */
export interface ForeignLayer {
  readonly name: string
  /** Its kind in the file: 'Convolution', 'Pooling', ... */
  readonly kind: string
  /** Its options as in the file: kernel size, stride, padding, ... */
  readonly options: Readonly<Record<string, number | string | boolean>>
}

/** An open file of another program's weights. Its index was read and checked; no tensor was. */
export interface WeightFile {
  readonly container: Container
  /** All tensors, in the order of their bytes. */
  readonly tensors: readonly ForeignTensor[]
  /** The layers that the file describes; empty where it has tensors only. */
  readonly layers: readonly ForeignLayer[]
  /** What the file says about itself, such as the metadata of safetensors. */
  readonly metadata: Readonly<Record<string, string>>
  /**
   * Fills `into` with the elements of a tensor from the element `begin` on, in row-major order. A caller reads the tensors in
   * their order, and each one from its begin to its end, so that the file is read once.
   * @throws FILE_FORMAT if the file ends before, or its type is not one of `floatTypes`
   */
  read(tensor: ForeignTensor, into: Float32Array, begin: number): Promise<void>
  /** The first element of a tensor, read out of order. Containers that only one program writes do not have it. */
  first?(tensor: ForeignTensor): Promise<number>
  /** SHA-256 of the whole file in hex; called once, after the tensors were read. */
  digest(): Promise<string>
  /** Closes the file. */
  close(): Promise<void>
}
