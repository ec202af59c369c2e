import { readdirSync, statSync } from 'node:fs'
import path from 'node:path'
import { native } from '../native.js'
import { cublasLtLibrary, cudaLibraryFiles, cudaPins, cudnnLibrary } from '../wheels/pins.mjs'
import { type CudaPart, libraryVersion, type SearchedFolder, stemOf } from './folders.js'
import { cudaSearch } from './locations.js'

/** The state of one of NVIDIA's libraries on this machine. Texts are '' if they do not apply. */
export interface LibraryStatus {
  readonly name: 'cuDNN' | 'cuBLASLt' | 'NVRTC'
  /** Whether computing needs it. NVRTC only makes it faster. */
  readonly needed: boolean
  readonly found: boolean
  /** The version, `9.19.0.56`, as far as it is known without opening the library. */
  readonly version: string
  readonly folder: string
  /** Where the name of the folder comes from: a variable, or a location in words. */
  readonly from: string
  readonly bytes: number
  /** The missing files. All files of cuDNN must be in one folder. */
  readonly missing: readonly string[]
}

/** The state of NVIDIA's libraries on this machine. */
export interface LibrariesStatus {
  readonly libraries: readonly LibraryStatus[]
  /** The reasons why other copies of them are skipped. */
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

/** Describes the incomplete copies of cuDNN that the search skipped before the one in use. */
function incomplete(searched: readonly SearchedFolder[], inUse: string): string[] {
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

/** Finds another major version of a library, such as '12', in a list of names. */
function otherMajor(held: readonly string[], library: string): string | undefined {
  const prefix = `${stemOf(library)}.so.`
  return held
    .filter((name) => name.startsWith(prefix) && name !== library)
    .map((name) => name.slice(prefix.length))
    .find((version) => /^\d+$/.test(version))
}

/** Describes libraries of other major versions, which have other names. */
function otherVersions(searched: readonly SearchedFolder[]): string[] {
  return searched.flatMap(({ folder }) => {
    const held = namesIn(folder)
    const cublas = otherMajor(held, cublasLtLibrary)
    const cudnn = otherMajor(held, cudnnLibrary)
    return [
      ...(cublas ? [`cuBLASLt in ${folder} is for CUDA ${cublas}, but CUDA 13 is needed`] : []),
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
  const missing = wanted.filter((_, index) => files[index] === undefined).map((name) => name.replace(/\.$/, ''))
  const from = searched.find((entry) => entry.folder === folder)?.from ?? ''
  const found = missing.length === 0
  return { name: names[part], needed: part !== 'nvrtc', found, version, folder, from, bytes, missing }
}

/**
 * Reports NVIDIA's libraries on this machine, without opening them.
 * @throws UNSUPPORTED_PLATFORM, NATIVE_LOAD_FAILED
 */
export function librariesStatus(): LibrariesStatus {
  const { searched, passedOver } = cudaSearch()
  const files = native().findCudaFiles({ folders: searched.map(({ folder }) => folder) })
  const paths = new Map(files.map((file) => [file.name, file.path]))
  const libraries = cudaPins.map((part) => statusOf(part, searched, paths))
  const cudnn = libraries.find(({ name, found }) => name === 'cuDNN' && found)
  const partial = cudnn === undefined ? [] : incomplete(searched, cudnn.folder)
  const foreign = libraries.every(({ found }) => found) ? [] : otherVersions(searched)
  return { libraries, passedOver: [...passedOver, ...partial, ...foreign], searched }
}

/** What `nextStep` depends on. */
interface GpuFacts {
  /** Whether all required NVIDIA libraries are found. */
  readonly ready: boolean
  /** Bytes that an interrupted install has fetched. */
  readonly bytesBegun: number
  /** The CUDA library of vggnet; `obstacle` says why there is none. */
  readonly cudaLibrary: { readonly obstacle: string }
  readonly driver: { readonly version: string; readonly obstacle: string }
}

/** What a user does next for a GPU. NVIDIA's libraries come last: without driver and CUDA library they are of no use. */
export function nextStep({ ready, bytesBegun, cudaLibrary, driver }: GpuFacts): string {
  const missing = [
    driver.version === '' ? "on a machine with a GPU: install NVIDIA's driver, R580 or later" : driver.obstacle,
    cudaLibrary.obstacle,
  ].filter(Boolean)
  if (missing.length > 0)
    return `${missing.join('; and ')}. Without a GPU nothing is needed: device: 'cpu', --device cpu`
  if (ready) return '`npx vggnet doctor` checks the cards'
  return `\`npx vggnet cuda install\` ${bytesBegun > 0 ? 'continues fetching' : 'fetches'} the missing libraries`
}
