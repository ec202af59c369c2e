import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { messageOf, VggError } from './error.js'
import { loadFailure, machine } from './load-failure.js'
import type { DescribedParameter, Description, Precision } from './native-description.js'
import type { NativePictures } from './native-pictures.js'
import type { Layer } from './network/layer.js'

// The types below mirror native/addon; every promise is settled by the network's own thread, in the order of the calls.

/** Images in the order of their type: uint8 n, h, w, c or float32 n, c, h, w. */
export interface NativeImages {
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
    images: NativeImages
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
  step(call: { images: NativeImages; labels: Int32Array; microBatch: number } & NativeUpdate): Promise<NativeLoss>
  read(kind: ParameterArray, name: string): Promise<NativeTensor>
  write(kind: ParameterArray, name: string, data: Float32Array): Promise<void>
  /** The complete set of frozen layers; replaces the former. */
  freeze(layers: string[]): Promise<void>
  profile(call: {
    images: NativeImages
    training: boolean
  }): Promise<{ name: string; forwardMs: number; backwardMs: number; multiplyAdds: number }[]>
  dispose(): void
}

export interface BuildInfo {
  buildId: string
  oneDnn: string
  libjpegTurbo: string
  isa: string
  threads: number
  debug: boolean
  compiler: string
}

/** Where libraries of CUDA are looked for, and what is said where one is missing. */
export interface CudaPlaces {
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

export interface Native extends NativePictures {
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
  setCudaPlaces(places: CudaPlaces): void
  findCudaFiles(where: { folders: readonly string[] }): CudaFile[]
  /** Opens the driver and the libraries as far as they are there. */
  cudaReport(): CudaReport
  cpuTuning(): CpuTuning
  /** For networks and shapes that are prepared from now on. Throws INVALID_ARGUMENT. */
  setCpuTuning(tuning: CpuTuning): void
  setErrorClass(errorClass: typeof VggError): void
  /** Ends the threads of all networks of this thread, each after the call that is running. */
  endWork(): void
}

const require = createRequire(import.meta.url)
// The sources lie in lib/, the compiled files in dist/: the root is where the package's own package.json lies.
function packageRoot(): string {
  let folder = path.dirname(fileURLToPath(import.meta.url))
  while (folder !== path.dirname(folder)) {
    const file = path.join(folder, 'package.json')
    if (existsSync(file) && JSON.parse(readFileSync(file, 'utf8')).name === 'vggnet') return folder
    folder = path.dirname(folder)
  }
  throw new VggError('NATIVE_LOAD_FAILED', `Found no package.json of vggnet above ${fileURLToPath(import.meta.url)}`)
}

function binaryPath(root: string): string {
  const chosen = process.env.VGGNET_BINARY
  if (chosen) return path.resolve(chosen)
  const { resolve } = require('node-gyp-build') as { resolve(folder: string): string }
  return resolve(root)
}

/** How this package is installed. */
export interface Installation {
  /** The folder of package.json. */
  readonly root: string
  /** Whether it holds the sources of the native code. */
  readonly checkout: boolean
  /** The binary in use. */
  readonly binary: string
  readonly native: Native
}

function load(): Installation {
  const root = packageRoot()
  const checkout = existsSync(path.join(root, 'native'))
  const here = machine()
  if (here.platform !== 'linux' || here.arch !== 'x64' || here.glibc === undefined)
    throw loadFailure([], here, checkout)
  // libgomp reads this once, when it is loaded: waiting threads that spin slow every other thread down. In a worker
  // process.env is a copy that libgomp does not see, unless the main thread has loaded vggnet before.
  process.env.OMP_WAIT_POLICY ??= 'passive'
  let place = process.env.VGGNET_BINARY ? 'VGGNET_BINARY' : `${root} (build/Release, prebuilds/linux-x64)`
  try {
    const binary = binaryPath(root)
    place = binary
    const native = require(binary) as Native
    native.setErrorClass(VggError)
    // process.exit does not wait for other threads before it takes their libraries apart
    process.once('exit', () => native.endWork())
    return { root, checkout, binary, native }
  } catch (cause) {
    const reason = messageOf(cause)
    const failure = loadFailure([{ place, reason }], here, checkout)
    failure.cause = cause
    throw failure
  }
}

let loaded: Installation | undefined

/**
 * The native library and where it lies, loaded at the first call.
 * @throws UNSUPPORTED_PLATFORM, NATIVE_LOAD_FAILED
 */
export function installation(): Installation {
  loaded ??= load()
  return loaded
}

/** The native library, as `installation` finds it. */
export const native = (): Native => installation().native
