import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { VggError } from './error.js'
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

export interface NativeParameter {
  name: string
  layer: string
  role: 'weight' | 'bias'
  shape: number[]
  count: number
  fanIn: number
  fanOut: number
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

export interface NativeNetwork {
  readonly device: string
  readonly threads: number
  readonly parameters: NativeParameter[]
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

/** Shapes are [n, c, h, w], whole batch; multiply-adds of the forward pass. */
export interface DescribedLayer {
  name: string
  kind: string
  input: number[]
  output: number[]
  multiplyAdds: number
  parameters: number
}

export interface DescribedStage extends DescribedLayer {
  workspaceBytes: number
  /** Kept from forward to backward besides activations. */
  savedBytes: number
  /** Forward, and in training the gradients of input and weights: 'winograd/winograd/direct'. */
  algorithm: string
}

/** What a network takes and does at one input shape; computed without allocating any of it. */
export interface Description {
  parameters: NativeParameter[]
  parameterCount: number
  /** Weights and biases as stored. */
  parameterBytes: number
  /** Gradients and velocity. */
  optimizerBytes: number
  /** As described, by the paper's names. */
  layers: DescribedLayer[]
  /** As the device runs them: a convolution and the pool behind it are one, 'conv1_2+pool1'. */
  stages: DescribedStage[]
  /** Uses are counted in stages: forward from 0 on, then backward. Bytes, and their place in the arena. */
  tensors: { name: string; bytes: number; offset: number; firstUse: number; lastUse: number }[]
  arenaBytes: number
  workspaceBytes: number
  totalBytes: number
  /** Of the forward pass, for the whole batch. */
  multiplyAdds: number
}

export interface BuildInfo {
  buildId: string
  oneDnn: string
  isa: string
  threads: number
  debug: boolean
  compiler: string
}

export interface Native {
  Network: {
    create(options: {
      layers: readonly Layer[]
      device: string
      seed: number
      /** 0: all processors */
      threads: number
      exact: boolean
      /** bytes; 0: no limit */
      memoryLimit: number
    }): Promise<NativeNetwork>
  }
  /** shape: n c h w */
  describe(options: {
    layers: readonly Layer[]
    shape: number[]
    training: boolean
    keep: string[]
    device: string
    exact: boolean
  }): Description
  buildInfo(): BuildInfo
  setErrorClass(errorClass: typeof VggError): void
}

const require = createRequire(import.meta.url)
const neededGlibc = '2.34'

/** Where a binary was looked for, and why it was not taken. */
export interface Attempt {
  readonly place: string
  readonly reason: string
}

/** The machine as far as it decides whether a binary loads. */
export interface Machine {
  readonly platform: string
  readonly arch: string
  readonly node: string
  /** Node-API version of this Node. */
  readonly napi: string
  /** Undefined where the C library is not glibc, as on Alpine. */
  readonly glibc: string | undefined
}

/** This machine. */
export function machine(): Machine {
  // the report writes no file here; it is the one place where Node tells the version of glibc
  const report = process.report?.getReport() as { header?: { glibcVersionRuntime?: string } } | undefined
  return {
    platform: process.platform,
    arch: process.arch,
    node: process.versions.node,
    napi: process.versions.napi ?? 'unknown',
    glibc: report?.header?.glibcVersionRuntime,
  }
}

/** The error that explains why no binary could be loaded: what was tried, what is there, what to type. */
export function loadFailure(attempts: readonly Attempt[], here: Machine, checkout: boolean): VggError {
  const found = `Node ${here.node} (Node-API ${here.napi}, needs 8), ${here.platform} ${here.arch}, ${
    here.glibc === undefined ? 'no glibc' : `glibc ${here.glibc}`
  } (needs ${neededGlibc} or later)`
  if (here.platform !== 'linux' || here.arch !== 'x64' || here.glibc === undefined) {
    const message = `vggnet runs on Linux x64 with glibc ${neededGlibc} or later and Node 20.17 or later.\nFound: ${found}`
    return new VggError('UNSUPPORTED_PLATFORM', message)
  }
  const command = checkout ? 'npm run build:native' : 'npm install --force vggnet'
  const purpose = checkout ? 'in the checkout, builds it' : 'installs the package again, with its binary'
  const lines = [
    'Could not load the native binary of vggnet.',
    'Tried:',
    ...attempts.map(({ place, reason }) => `- ${place}: ${reason.replaceAll('\n', '\n  ')}`),
    `Found: ${found}`,
    `Cure: \`${command}\` (${purpose})`,
  ]
  return new VggError('NATIVE_LOAD_FAILED', lines.join('\n'))
}

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

function load(): Native {
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
    const file = binaryPath(root)
    place = file
    const native = require(file) as Native
    native.setErrorClass(VggError)
    return native
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    const failure = loadFailure([{ place, reason }], here, checkout)
    failure.cause = cause
    throw failure
  }
}

let loaded: Native | undefined

/**
 * The native library, loaded at the first call.
 * @throws UNSUPPORTED_PLATFORM, NATIVE_LOAD_FAILED
 */
export function native(): Native {
  loaded ??= load()
  return loaded
}
