import type { VggError } from '../error.js'
import type { Layer } from '../layer.js'
import type { DescribedParameter, Description, Precision } from './native-description.js'
import type { NativeGroup } from './native-group.js'
import type { NativeLosses } from './native-losses.js'

// The types below mirror native/addon. A network's thread settles its promises, in the order of the calls.

/** A batch of images: uint8 in the order n, h, w, c or float32 in the order n, c, h, w. */
export interface NativeInput {
  data: Float32Array | Uint8Array
  shape: number[]
  /** Shape n: 1 for each image that is mirrored left to right, otherwise 0. */
  flip?: Uint8Array
  /** Shape n, c: values that are added to the raw pixel values. */
  shift?: Float32Array
  /** The tensor that these are the values of, float32; absent for images. */
  from?: string
}

export interface NativeTensor {
  data: Float32Array
  shape: number[]
}

export interface NativeLoss {
  /** The mean loss over the images that `batch` counts. */
  loss: number
  /** Number of images whose class is ranked first. */
  correct: number
  /** Number of images whose class is among the first five. */
  correct5: number
}

export interface NativeUpdate {
  learningRate: number
  momentum: number
  weightDecay: number
  /** Multipliers of the learning rate by layer name. */
  rates: Record<string, number>
}

/** The arrays that a network holds for each parameter. */
export type ParameterArray = 'parameter' | 'gradient' | 'velocity'

/** The device to compute on. Native code resolves `auto`. */
export interface NativeDevice {
  device: string
  /** The number of threads; 0 for all processors. */
  threads: number
  /** The precision; undefined for the device's default. */
  precision: Precision | undefined
  deterministic: boolean
}

/** A training step, in a group of this rank's part of the batch, which may have no images. */
export interface NativeStep extends NativeUpdate {
  images: NativeInput
  labels: Int32Array
  microBatch: number
  /** Whether this rank wants to end after the step, for the answer of all ranks. */
  stops?: boolean
  /** A text for the other ranks. */
  note?: string
}

/** The answer of a training step. In a group it is of the whole batch, and the same on all ranks. */
export interface StepAnswer extends NativeLoss {
  /** Number of images; if there are none in a group, nothing was changed. */
  images: number
  /** Whether a rank had the option `stops`. */
  stops: boolean
  /** The option `note` of each rank, in the order of the ranks. */
  notes: string[]
}

export interface NativeNetwork {
  readonly device: string
  /** For `auto`, the chosen GPU or why none was chosen; '' if the device was named. */
  readonly deviceReason: string
  readonly precision: Precision
  readonly deterministic: boolean
  readonly threads: number
  readonly parameters: DescribedParameter[]
  trainingStep(): number
  setTrainingStep(step: number): Promise<void>
  /** Initialises the parameters of layers, each as if all were initialised. */
  initialise(call: { scheme: 'glorot' | 'he' | 'paper'; seed: number; layers: readonly string[] }): Promise<void>
  forward(call: {
    images: NativeInput
    training: boolean
    keep: string[]
    inputGradient: boolean
    firstImage: number
    /** Nothing after the last tensor that is named here is computed, and `output` is empty. */
    onlyKept?: boolean
    /** Tensors whose gradients `vjp` is to return after this pass, in evaluation mode; and those of its cotangents. */
    gradientsAt?: string[]
    cotangentsAt?: string[]
  }): Promise<{ output: NativeTensor; kept: Record<string, NativeTensor> }>
  /** Gradients of the sum of products of kept tensors with cotangents; after `forward` with `gradientsAt`. */
  vjp(call: {
    cotangents: Record<string, NativeTensor>
    guided: boolean
  }): Promise<{ gradients: Record<string, NativeTensor>; inputGradient?: NativeTensor }>
  /** Takes either labels or gradient. `batch` is the number of images that the loss is divided by; 0 for those of this call. */
  backward(call: {
    labels?: Int32Array
    gradient?: NativeTensor
    inject?: Record<string, NativeTensor>
    accumulate: boolean
    batch: number
  }): Promise<NativeLoss & { inputGradient?: NativeTensor }>
  update(call: NativeUpdate): Promise<void>
  /** `microBatch` is the number of images per pass; 0 for the whole batch. */
  step(call: NativeStep): Promise<StepAnswer>
  /** Rejects with GROUP_MISMATCH unless all ranks of the network's group have the same parameters. */
  checkSameParameters(): Promise<void>
  read(kind: ParameterArray, name: string): Promise<NativeTensor>
  /**
   * Writes the values of all outputs from `first` on, or of the next 128, 256, ...; `first` is a multiple of 128. `data` is not
   * copied: it must stay as it is until the promise is settled.
   */
  write(kind: ParameterArray, name: string, first: number, data: Float32Array): Promise<void>
  /** Sets the frozen layers, replacing the previous set. */
  freeze(layers: string[]): Promise<void>
  profile(call: { images: NativeInput; training: boolean }): Promise<StageTime[]>
  queueTimes(): Promise<QueueTime[]>
  dispose(): void
}

/** How long one stage of a network took. */
export interface StageTime {
  /** Name of the layer. */
  name: string
  /** Milliseconds of its forward pass. */
  forwardMs: number
  /** Milliseconds of its backward pass; 0 where it has none. */
  backwardMs: number
  /** Multiply-adds of its forward pass. */
  multiplyAdds: number
}

/** How the host kept a GPU's queue filled, for one call. */
export interface QueueTime {
  /** Microseconds of the host to put the call into the queue. */
  beginUs: number
  /**
   * Microseconds, as the host sees it, from the end of the call before to the moment at which this call is in the queue; 0 if
   * that was before the end.
   */
  emptyUs: number
}

/** The origin of the native library, and the libraries and instructions that it computes with. */
export interface BuildInfo {
  /** Hash of its sources. */
  buildId: string
  /** Version of oneDNN. */
  oneDnn: string
  /** Version of libjpeg-turbo. */
  libjpegTurbo: string
  /** Instruction set in use, such as 'avx512_core'. */
  isa: string
  /** Default number of threads of a network on the CPU. */
  threads: number
  /** Whether it is a debug build, with sanitizers. */
  debug: boolean
  /** Name and version of the compiler. */
  compiler: string
}

/** Where the CUDA libraries are searched, and the texts of the errors if one is missing. */
export interface CudaLocations {
  /** Path of libvggnet_cuda.so; '' if there is none. */
  library: string
  /** Why there is no library, and how to get it. */
  noLibrary: string
  /** Folders that may contain NVIDIA's libraries, in order of preference. */
  folders: string[]
  /** How to get a missing library of NVIDIA. */
  filesCure: string
}

/** A library of NVIDIA. The path is '' if it was not found. */
export interface CudaFile {
  name: string
  path: string
  needed: boolean
}

/** The state of CUDA. Texts are '' if they do not apply; an obstacle is the reason why CUDA cannot compute. */
export interface CudaReport {
  driver: { path: string; version: string; cards: number; obstacle: string }
  library: { buildId: string; versions: string; obstacle: string }
  cards: { device: string; name: string; architecture: string; bytes: number; freeBytes: number }[]
}

/** Block sizes of convolutions on the CPU, as native/backend/cpu_tuning.hpp defines them. */
export interface CpuTuning {
  /** Block of one thread, in bytes, 65536 to 2^30. */
  ownBlock: number
  /** Block that the threads share, in bytes, 65536 to 2^30. */
  sharedBlock: number
  /** Block of a weight gradient, relative to its sums, 0.125 to 16. */
  gradientBlock: number
}

// The two types below mirror native/addon/image.cpp. A thread of libuv's pool settles their promises.

/** A crop of a rescaled image. */
export interface NativeCrop {
  /** Size of the original image. */
  source: { readonly height: number; readonly width: number }
  /** Size of the rescaled image, and the first row and column of the crop. */
  box: { readonly height: number; readonly width: number; readonly top: number; readonly left: number }
  crop: { readonly height: number; readonly width: number; readonly channels: 1 | 3 }
  /** Receives the bytes of the crop at the end, on the caller's thread. */
  into: Uint8Array
}

/** Pixels are uint8, height x width x channels. */
export interface NativeImages {
  /**
   * Decodes an 8-bit JPEG, in grey, or in colour for a crop of 3 channels. Ignores its orientation and its profile. Rejects with
   * FILE_FORMAT on any error or warning of libjpeg-turbo, also if its coefficients take more than `memoryLimit` bytes.
   */
  decodeJpeg(call: NativeCrop & { bytes: Uint8Array; memoryLimit: number }): Promise<void>
  /** Rescales and crops. The pixels must not change until the promise is settled. */
  rescale(call: NativeCrop & { pixels: Uint8Array }): Promise<void>
}

export interface Native extends NativeImages, NativeLosses, NativeGroup {
  Network: {
    create(
      options: NativeDevice & {
        layers: readonly Layer[]
        seed: number
        exact: boolean
        /** Limit in bytes; 0 for none. */
        memoryLimit: number
        /** Whether the ranks of this process's group compute the steps together. */
        group: boolean
      },
    ): Promise<NativeNetwork>
  }
  /** Plans a network for inputs of the shape n, c, h, w. */
  describe(
    options: NativeDevice & {
      layers: readonly Layer[]
      shape: number[]
      training: boolean
      keep: string[]
      exact: boolean
    },
  ): Description
  /**
   * Takes the exclusive lock of an open file, without waiting. The kernel releases it when the file is closed, or its process ends.
   * Returns 0 or the number of the system's error; EAGAIN if the file is locked by another open file, also of this process.
   */
  lockFile(descriptor: number): number
  buildInfo(): BuildInfo
  setCudaLocations(locations: CudaLocations): void
  findCudaFiles(where: { folders: readonly string[] }): CudaFile[]
  /** Opens the driver and those libraries that exist. */
  cudaReport(): CudaReport
  cpuTuning(): CpuTuning
  /** Sets the sizes for networks and shapes that are prepared afterwards. Throws INVALID_ARGUMENT. */
  setCpuTuning(tuning: CpuTuning): void
  setErrorClass(errorClass: typeof VggError): void
}
