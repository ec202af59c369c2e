import type { VggError } from '../error.js'
import type { Layer } from '../layer.js'
import type { DescribedParameter, Description, Precision } from './native-description.js'

// The types below mirror native/addon; a network's promises are settled by its own thread, in the order of the calls.

/** Images in the order of their type: uint8 n, h, w, c or float32 n, c, h, w. */
export interface NativeInput {
  data: Float32Array | Uint8Array
  shape: number[]
  /** n: 1 where the image is mirrored left to right, otherwise 0 */
  flip?: Uint8Array
  /** n c: added to the raw pixel values */
  shift?: Float32Array
}

export interface NativeTensor {
  data: Float32Array
  shape: number[]
}

export interface NativeLoss {
  /** Mean over the images that `batch` counts. */
  loss: number
  correct: number
  correct5: number
}

export interface NativeUpdate {
  learningRate: number
  momentum: number
  weightDecay: number
  /** Layer to multiplier of the learning rate. */
  rates: Record<string, number>
}

/** The arrays that a network holds for each parameter. */
export type ParameterArray = 'parameter' | 'gradient' | 'velocity'

/** Where to compute; native code resolves `auto`. */
export interface NativeDevice {
  device: string
  /** 0: all processors */
  threads: number
  /** Undefined: the device's own choice. */
  precision: Precision | undefined
  deterministic: boolean
}

export interface NativeNetwork {
  readonly device: string
  /** Of `auto`: the card taken, or why none was; empty where the device was named. */
  readonly deviceReason: string
  readonly precision: Precision
  readonly deterministic: boolean
  readonly threads: number
  readonly parameters: DescribedParameter[]
  trainingStep(): number
  setTrainingStep(step: number): Promise<void>
  initialise(call: { scheme: 'glorot' | 'he' | 'paper'; seed: number }): Promise<void>
  forward(call: {
    images: NativeInput
    training: boolean
    keep: string[]
    inputGradient: boolean
    firstImage: number
  }): Promise<{ output: NativeTensor; kept: Record<string, NativeTensor> }>
  /** Exactly one of labels and gradient. batch 0: as many images as in this call. */
  backward(call: {
    labels?: Int32Array
    gradient?: NativeTensor
    inject?: Record<string, NativeTensor>
    accumulate: boolean
    batch: number
  }): Promise<NativeLoss & { inputGradient?: NativeTensor }>
  update(call: NativeUpdate): Promise<void>
  /** microBatch 0: the whole batch at once. */
  step(call: { images: NativeInput; labels: Int32Array; microBatch: number } & NativeUpdate): Promise<NativeLoss>
  read(kind: ParameterArray, name: string): Promise<NativeTensor>
  write(kind: ParameterArray, name: string, data: Float32Array): Promise<void>
  /** The complete set of frozen layers; replaces the former. */
  freeze(layers: string[]): Promise<void>
  profile(call: {
    images: NativeInput
    training: boolean
  }): Promise<{ name: string; forwardMs: number; backwardMs: number; multiplyAdds: number }[]>
  dispose(): void
}

/** What the native library was made from, and with what it computes. */
export interface BuildInfo {
  /** Hash of the sources it was made from. */
  buildId: string
  /** oneDNN's version. */
  oneDnn: string
  /** libjpeg-turbo's version. */
  libjpegTurbo: string
  /** The instruction set in use. */
  isa: string
  /** Threads that the processor's networks take where none are asked for. */
  threads: number
  /** Made with sanitizers. */
  debug: boolean
  /** Its name and version. */
  compiler: string
}

/** Folders that are searched for CUDA's libraries, and the messages for those that are missing. */
export interface CudaLocations {
  /** libvggnet_cuda.so; empty: there is none */
  library: string
  /** Why there is no library, and the cure. */
  noLibrary: string
  /** Folders that may hold NVIDIA's libraries, the preferred first. */
  folders: string[]
  /** The cure where one of those is missing. */
  filesCure: string
}

/** A library of NVIDIA's; the path is empty where it was not found. */
export interface CudaFile {
  name: string
  path: string
  needed: boolean
}

/** Texts are empty where there is nothing to say; an obstacle says why there is no computing. */
export interface CudaReport {
  driver: { path: string; version: string; cards: number; obstacle: string }
  library: { buildId: string; versions: string; obstacle: string }
  cards: { device: string; name: string; architecture: string; bytes: number; freeBytes: number }[]
}

/** Sizes that the CPU's convolutions go by; native/backend/cpu_tuning.hpp says what they are. */
export interface CpuTuning {
  /** bytes, 65536 to 2^30 */
  ownBlock: number
  /** bytes, 65536 to 2^30 */
  sharedBlock: number
  /** a share, 0.125 to 16 */
  gradientBlock: number
}

// The two below mirror native/addon/image.cpp; their promises are settled by a thread of libuv's pool.

/** A cut out of a rescaled image. */
export interface NativeCrop {
  /** The image as it is. */
  source: { readonly height: number; readonly width: number }
  /** Rescaled, and the first row and column of the crop. */
  box: { readonly height: number; readonly width: number; readonly top: number; readonly left: number }
  crop: { readonly height: number; readonly width: number; readonly channels: 1 | 3 }
  /** Of the crop's bytes; written to at the end only, on the thread of the caller. */
  into: Uint8Array
}

/** Pixels are uint8, height x width x channels. */
export interface NativeImages {
  /**
   * Of an 8-bit JPEG in grey, or in colours for a crop of 3 channels. Neither its orientation nor its profile is looked
   * at. Rejects with FILE_FORMAT where libjpeg-turbo finds anything wrong, be it a warning.
   */
  decodeJpeg(call: NativeCrop & { bytes: Uint8Array }): Promise<void>
  /** The pixels must stay as they are until the promise is settled. */
  rescale(call: NativeCrop & { pixels: Uint8Array }): Promise<void>
}

export interface Native extends NativeImages {
  Network: {
    create(
      options: NativeDevice & {
        layers: readonly Layer[]
        seed: number
        exact: boolean
        /** bytes; 0: no limit */
        memoryLimit: number
      },
    ): Promise<NativeNetwork>
  }
  /** shape: n c h w */
  describe(
    options: NativeDevice & {
      layers: readonly Layer[]
      shape: number[]
      training: boolean
      keep: string[]
      exact: boolean
    },
  ): Description
  buildInfo(): BuildInfo
  setCudaLocations(positions: CudaLocations): void
  findCudaFiles(where: { folders: readonly string[] }): CudaFile[]
  /** Opens the driver and the libraries as far as they are there. */
  cudaReport(): CudaReport
  cpuTuning(): CpuTuning
  /** For networks and shapes that are prepared from now on. Throws INVALID_ARGUMENT. */
  setCpuTuning(tuning: CpuTuning): void
  setErrorClass(errorClass: typeof VggError): void
}
