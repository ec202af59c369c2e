import { readdirSync, statSync } from 'node:fs'
import path from 'node:path'
import { native } from '../native.js'
import { cudaLibraryFiles, cudaPins } from '../wheels/pins.mjs'
import { type CudaPart, libraryVersion, type SearchedFolder } from './folders.js'
import { cudaSearch } from './locations.js'

/** One of NVIDIA's libraries on this machine. Texts are empty where there is nothing to say. */
export interface LibraryStatus {
  readonly name: 'cuDNN' | 'cuBLASLt' | 'NVRTC'
  /** Whether there is no computing without it: of NVRTC only speed is lost. */
  readonly needed: boolean
  readonly found: boolean
  /** As far as it is known without opening it: `9.19.0.56`. */
  readonly version: string
  readonly folder: string
  /** What names the folder: a variable, or a position in words. */
  readonly from: string
  readonly bytes: number
  /** Files that are not there; all of cuDNN must lie in one folder. */
  readonly missing: readonly string[]
}

/** What this machine has of NVIDIA's libraries. */
export interface LibrariesStatus {
  readonly libraries: readonly LibraryStatus[]
  /** Why other copies of them are not used. */
  readonly passedOver: readonly string[]
  readonly searched: readonly SearchedFolder[]
}

const names = { cudnn: 'cuDNN', cublas: 'cuBLASLt', nvrtc: 'NVRTC' } as const

const serves = (wanted: string, name: string): boolean =>
  wanted.endsWith('.') ? name.startsWith(wanted) : name === wanted

const namesIn = (folder: string): string[] => {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

/** Folders searched before the one in use that hold only some of the libraries. They are skipped. */
function halfThere(searched: readonly SearchedFolder[], inUse: string): string[] {
  const before = searched.slice(
    0,
    searched.findIndex(({ folder }) => folder === inUse),
  )
  return before.flatMap(({ folder }) => {
    const held = namesIn(folder)
    const missing = cudaLibraryFiles.cudnn.filter((name) => !held.includes(name))
    if (missing.length === 0 || missing.length === cudaLibraryFiles.cudnn.length) return []
    return [`cuDNN in ${folder} is not complete: ${missing.join(', ')} is missing`]
  })
}

/** Libraries of other versions, which have other names. */
function others(searched: readonly SearchedFolder[]): string[] {
  return searched.flatMap(({ folder }) => {
    const held = namesIn(folder)
    const cublas = held
      .map((name) => /^libcublasLt\.so\.(\d+)$/.exec(name)?.[1])
      .find((major) => major && major !== '13')
    const cudnn = held.map((name) => /^libcudnn\.so\.(\d+)$/.exec(name)?.[1]).find((major) => major && major !== '9')
    return [
      ...(cublas ? [`cuBLASLt in ${folder} is of CUDA ${cublas}, and that of CUDA 13 is needed`] : []),
      ...(cudnn ? [`cuDNN ${cudnn} in ${folder}: cuDNN 9 is needed`] : []),
    ]
  })
}

function statusOf(
  part: CudaPart,
  searched: readonly SearchedFolder[],
  paths: ReadonlyMap<string, string>,
): LibraryStatus {
  const wanted = cudaLibraryFiles[part]
  const first = wanted.map((name) => paths.get(name) ?? '').find((file) => file !== '')
  const folder = first === undefined ? '' : path.dirname(first)
  const held = namesIn(folder)
  const files = wanted.map((name) => held.find((one) => serves(name, one)))
  const bytes = files.reduce((sum, file) => sum + (file === undefined ? 0 : statSync(path.join(folder, file)).size), 0)
  const version = first === undefined ? '' : libraryVersion(part, first)
  const missing = wanted.filter((_, position) => files[position] === undefined).map((name) => name.replace(/\.$/, ''))
  const from = searched.find((entry) => entry.folder === folder)?.from ?? ''
  const found = missing.length === 0
  return { name: names[part], needed: part !== 'nvrtc', found, version, folder, from, bytes, missing }
}

/**
 * What this machine has of NVIDIA's libraries; none is opened.
 * @throws UNSUPPORTED_PLATFORM, NATIVE_LOAD_FAILED
 */
export function librariesStatus(): LibrariesStatus {
  const { searched, passedOver } = cudaSearch()
  const files = native().findCudaFiles({ folders: searched.map(({ folder }) => folder) })
  const paths = new Map(files.map((file) => [file.name, file.path]))
  const libraries = cudaPins.map((part) => statusOf(part, searched, paths))
  const cudnn = libraries.find(({ name, found }) => name === 'cuDNN' && found)
  const half = cudnn === undefined ? [] : halfThere(searched, cudnn.folder)
  const foreign = libraries.every(({ found }) => found) ? [] : others(searched)
  return { libraries, passedOver: [...passedOver, ...half, ...foreign], searched }
}
