import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync, realpathSync } from 'node:fs'
import path from 'node:path'
import { cublasLtLibrary, cudaLibraryFiles, cudnnEngines, cudnnLibrary, oldestCudnn } from '../wheels/pins.mjs'

/** The system as the search for NVIDIA's libraries sees it. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Returns the folders of the per-user cache whose libraries may be opened, and why others may not. */
  cached(): { readonly folders: readonly string[]; readonly passedOver: readonly string[] }
  /** Returns the names in a folder, or none if it does not exist. */
  list(folder: string): readonly string[]
  /** Returns whether these folders contain every library that is needed. */
  suffice(folders: readonly string[]): boolean
  /** Returns why the cuDNN in a folder cannot be used, or '' if it can. */
  unfit(folder: string): string
  /** Returns the library folders of the `nvidia` packages of python3. Starts a process. */
  python(): readonly string[]
}

/** A searched folder, and where its name comes from: a variable, or a location in words. */
export interface SearchedFolder {
  readonly folder: string
  readonly from: string
}

export interface CudaSearch {
  /** The folders in order of preference, without duplicates. */
  readonly searched: readonly SearchedFolder[]
  /** The reasons why folders with such libraries are skipped. */
  readonly passedOver: readonly string[]
}

const pathList = (value: string | undefined): string[] =>
  (value ?? '')
    .split(path.delimiter)
    .filter(Boolean)
    .map((folder) => path.resolve(folder))

const ownCache = "vggnet's cache"

/** Returns the name of a library without its version: 'libcudnn.so.9' -> 'libcudnn'. */
export const stemOf = (file: string): string => file.slice(0, file.indexOf('.'))

const stems = Object.values(cudaLibraryFiles).map(([main = '']) => stemOf(main))

/** Whether a file is one of NVIDIA's libraries, in any version. */
const isLibrary = (name: string): boolean =>
  stems.some((stem) => name.startsWith(stem) && /^[._]/.test(name.slice(stem.length)))

/** The library folders of a toolkit: lib64 in NVIDIA's, lib in conda's. */
function toolkitFolders(home: string | undefined, { list }: Surroundings): string[] {
  if (!home) return []
  const others = ['lib', 'targets/x86_64-linux/lib'].map((name) => path.resolve(home, name))
  return [path.resolve(home, 'lib64'), ...others.filter((folder) => list(folder).some(isLibrary))]
}

function systemFolders({ list }: Surroundings): string[] {
  const others = ['/usr/lib', '/usr/local/lib', '/opt/cuda/lib64']
  return ['/usr/lib/x86_64-linux-gnu', '/usr/lib64', ...others.filter((folder) => list(folder).some(isLibrary))]
}

function installedFolders(around: Surroundings, cached: readonly string[]): SearchedFolder[] {
  const { env } = around
  const locations: [from: string, folders: readonly string[]][] = [
    ['VGGNET_CUDA_LIBRARIES', pathList(env.VGGNET_CUDA_LIBRARIES)],
    [ownCache, cached],
    ['CUDA_HOME', toolkitFolders(env.CUDA_HOME, around)],
    ['CUDA_PATH', toolkitFolders(env.CUDA_PATH, around)],
    ['/usr/local/cuda', toolkitFolders('/usr/local/cuda', around)],
    ['LD_LIBRARY_PATH', pathList(env.LD_LIBRARY_PATH)],
    ['the system', systemFolders(around)],
  ]
  return locations.flatMap(([from, folders]) => folders.map((folder) => ({ folder, from })))
}

function withoutRepeats(folders: readonly SearchedFolder[]): SearchedFolder[] {
  const names = folders.map(({ folder }) => folder)
  return folders.filter(({ folder }, index) => names.indexOf(folder) === index)
}

/** Lists the folders to search for NVIDIA's libraries, in order. Asks python3 only if the other folders lack a library. */
export function searchForCuda(around: Surroundings): CudaSearch {
  const cached = around.cached()
  const passedOver = [...cached.passedOver]
  const fits = ({ folder, from }: SearchedFolder): boolean => {
    const holdsCudnn = around.list(folder).some((name) => cudaLibraryFiles.cudnn.includes(name))
    // the libraries in the cache are those that are pinned
    const reason = holdsCudnn && from !== ownCache ? around.unfit(folder) : ''
    if (reason !== '') passedOver.push(reason)
    return reason === ''
  }
  const installed = withoutRepeats(installedFolders(around, cached.folders)).filter(fits)
  if (around.suffice(installed.map(({ folder }) => folder))) return { searched: installed, passedOver }
  const known = new Set(installed.map(({ folder }) => folder))
  const others = around.python().filter((folder) => !known.has(folder))
  const python = others.map((folder) => ({ folder, from: "python3's packages" }))
  return { searched: [...installed, ...python.filter(fits)], passedOver }
}

/**
 * Returns why the cuDNN in a folder cannot be used, or '' if it can or if its version is unknown. cuDNN 9 is built for CUDA 12 and
 * for CUDA 13, under the same names.
 */
export function unfitCudnn(folder: string): string {
  const version = libraryVersion('cudnn', path.join(folder, cudnnLibrary))
  const [major, minor = 0] = version.split('.').map(Number)
  const [oldestMajor, oldestMinor = 0] = oldestCudnn.split('.').map(Number)
  if (version !== '' && (major !== oldestMajor || minor < oldestMinor))
    return `cuDNN ${version} in ${folder} is too old: ${oldestCudnn} or later is needed`
  const cuda = cudaOfCudnn(folder)
  if (cuda !== '' && cuda !== '13') return `cuDNN in ${folder} is for CUDA ${cuda}, but CUDA 13 is needed`
  return ''
}

/** A name in `cudaPins`: one of NVIDIA's libraries that computing on a GPU needs. */
export type CudaPart = keyof typeof cudaLibraryFiles

/** The names of their Python packages' metadata folders. */
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
 * Returns the version of a library, '9.19.0.56', according to its file name, the folders around it or its header; '' if none of
 * them states it. The library is not opened.
 */
export function libraryVersion(part: CudaPart, file: string): string {
  const real = realpathSync(file)
  const folder = path.dirname(real)
  const named = /\.so\.(\d+\.[\d.]+)$/.exec(real)?.[1]
  const cached = new RegExp(`/${part}-([\\d.]+)-[0-9a-f]{12}/lib$`).exec(folder)?.[1]
  return named ?? cached ?? inDistributions(part, folder) ?? (part === 'cudnn' ? inHeader(folder) : undefined) ?? ''
}

const blockBytes = 1 << 20

/** Returns the major CUDA version of a folder's cuDNN, '12', according to the name of the cuBLASLt in it; '' if unknown. */
function cudaOfCudnn(folder: string): string {
  const file = path.join(folder, cudnnEngines)
  if (!existsSync(file)) return ''
  const name = `${stemOf(cublasLtLibrary)}.so.`
  const opened = openSync(file, 'r')
  try {
    const block = Buffer.alloc(blockBytes)
    for (let tail = '', read = 1; read > 0; ) {
      read = readSync(opened, block)
      const text = tail + block.toString('latin1', 0, read)
      const at = text.indexOf(name)
      const major = at === -1 ? undefined : /^\d+/.exec(text.slice(at + name.length, at + name.length + 4))?.[0]
      if (major !== undefined) return major
      tail = text.slice(-20)
    }
    return ''
  } finally {
    closeSync(opened)
  }
}
