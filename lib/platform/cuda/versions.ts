import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync, realpathSync } from 'node:fs'
import path from 'node:path'

/** NVIDIA's libraries that computing on a card needs, as their pins are named. */
export type CudaPart = 'cudnn' | 'cublas' | 'nvrtc'

/** How Python's packages of them are called. */
const distributions: Readonly<Record<CudaPart, RegExp>> = {
  cudnn: /^nvidia_cudnn(?:_cu\d+)?-([\d.]+)\.dist-info$/,
  cublas: /^nvidia_cublas(?:_cu\d+)?-([\d.]+)\.dist-info$/,
  nvrtc: /^nvidia_cuda_nvrtc(?:_cu\d+)?-([\d.]+)\.dist-info$/,
}

function inDistributions(part: CudaPart, folder: string): string | undefined {
  // SITE/nvidia/NAME/lib
  const site = path.resolve(folder, '../../..')
  if (path.resolve(folder, '../..') !== path.join(site, 'nvidia') || !existsSync(site)) return undefined
  return readdirSync(site)
    .map((name) => distributions[part].exec(name)?.[1])
    .find((version) => version !== undefined)
}

function inHeader(folder: string): string | undefined {
  const header = path.resolve(folder, '../include/cudnn_version.h')
  if (!existsSync(header)) return undefined
  const text = readFileSync(header, 'utf8')
  const numbers = ['MAJOR', 'MINOR', 'PATCHLEVEL'].map(
    (name) => new RegExp(`define CUDNN_${name} +(\\d+)`).exec(text)?.[1],
  )
  return numbers.every((number) => number !== undefined) ? numbers.join('.') : undefined
}

/**
 * The version of a library, as its file's name, the folders around it or its header tell; it is not opened. Empty where
 * nothing tells.
 */
export function libraryVersion(part: CudaPart, file: string): string {
  const real = realpathSync(file)
  const folder = path.dirname(real)
  const named = /\.so\.(\d+\.[\d.]+)$/.exec(real)?.[1]
  const cached = new RegExp(`/${part}-([\\d.]+)-[0-9a-f]{12}/lib$`).exec(folder)?.[1]
  return named ?? cached ?? inDistributions(part, folder) ?? (part === 'cudnn' ? inHeader(folder) : undefined) ?? ''
}

const engines = 'libcudnn_engines_precompiled.so.9'
const blockBytes = 1 << 20

/** What CUDA the cuDNN of a folder is built for (`12`), as the name of the cuBLASLt that it opens tells; empty: unknown. */
export function cudaOfCudnn(folder: string): string {
  const file = path.join(folder, engines)
  if (!existsSync(file)) return ''
  const opened = openSync(file, 'r')
  try {
    const block = Buffer.alloc(blockBytes)
    for (let tail = '', read = 1; read > 0; ) {
      read = readSync(opened, block)
      const text = tail + block.toString('latin1', 0, read)
      const at = text.indexOf('libcublasLt.so.')
      const major = at === -1 ? undefined : /^\d+/.exec(text.slice(at + 15, at + 19))?.[0]
      if (major !== undefined) return major
      tail = text.slice(-20)
    }
    return ''
  } finally {
    closeSync(opened)
  }
}
