import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync, realpathSync } from 'node:fs'
import path from 'node:path'

/** What the search for NVIDIA's libraries depends on. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>
  /** The folder that all clones and installations of one user share. */
  readonly cache: string
  /** Names of what a folder holds; none where it does not exist. */
  list(folder: string): readonly string[]
  /** Whether these folders hold all that is needed. */
  suffice(folders: readonly string[]): boolean
  /** Why the cuDNN of a folder, which holds one, cannot serve; empty where it can. */
  unfit(folder: string): string
  /** Folders of the `nvidia` packages of the python3 in use; costs a process. */
  python(): readonly string[]
}

/** A folder that is searched, and what names it: a variable, or a position in words. */
export interface SearchedFolder {
  readonly folder: string
  readonly from: string
}

export interface CudaSearch {
  /** The preferred first, each once. */
  readonly searched: readonly SearchedFolder[]
  /** Why folders that hold such libraries are left out. */
  readonly passedOver: readonly string[]
}

const pathList = (value: string | undefined): string[] =>
  (value ?? '')
    .split(path.delimiter)
    .filter(Boolean)
    .map((folder) => path.resolve(folder))

const ownCache = "vggnet's cache"

const isLibrary = (name: string): boolean => /^lib(cudnn|cublasLt|nvrtc)[._]/.test(name)

/** The newest first: the cache keeps what older versions of vggnet were built with. */
function cachedFolders({ cache, list }: Surroundings): string[] {
  const newestFirst = (a: string, b: string): number => b.localeCompare(a, 'en', { numeric: true })
  return list(cache)
    .filter((name) => !name.startsWith('.'))
    .sort(newestFirst)
    .map((name) => path.join(cache, name, 'lib'))
    .filter((folder) => list(folder).some(isLibrary))
}

/** Of a toolkit: NVIDIA's own have lib64, others (conda's) lib. */
function toolkitFolders(home: string | undefined, { list }: Surroundings): string[] {
  if (!home) return []
  const others = ['lib', 'targets/x86_64-linux/lib'].map((name) => path.resolve(home, name))
  return [path.resolve(home, 'lib64'), ...others.filter((folder) => list(folder).some(isLibrary))]
}

function systemFolders({ list }: Surroundings): string[] {
  const others = ['/usr/lib', '/usr/local/lib', '/opt/cuda/lib64']
  return ['/usr/lib/x86_64-linux-gnu', '/usr/lib64', ...others.filter((folder) => list(folder).some(isLibrary))]
}

function installedFolders(around: Surroundings): SearchedFolder[] {
  const { env } = around
  const positions: [from: string, folders: string[]][] = [
    ['VGGNET_CUDA_LIBRARIES', pathList(env.VGGNET_CUDA_LIBRARIES)],
    [ownCache, cachedFolders(around)],
    ['CUDA_HOME', toolkitFolders(env.CUDA_HOME, around)],
    ['CUDA_PATH', toolkitFolders(env.CUDA_PATH, around)],
    ['/usr/local/cuda', toolkitFolders('/usr/local/cuda', around)],
    ['LD_LIBRARY_PATH', pathList(env.LD_LIBRARY_PATH)],
    ['the system', systemFolders(around)],
  ]
  return positions.flatMap(([from, folders]) => folders.map((folder) => ({ folder, from })))
}

function withoutRepeats(folders: readonly SearchedFolder[]): SearchedFolder[] {
  const names = folders.map(({ folder }) => folder)
  return folders.filter(({ folder }, position) => names.indexOf(folder) === position)
}

/** The folders that are searched for NVIDIA's libraries, in order; python3 is asked only where the others lack some. */
export function searchForCuda(around: Surroundings): CudaSearch {
  const passedOver: string[] = []
  const fits = ({ folder, from }: SearchedFolder): boolean => {
    const holdsCudnn = around.list(folder).some((name) => name.startsWith('libcudnn') && name.endsWith('.so.9'))
    // what is in the cache came by its hash
    const reason = holdsCudnn && from !== ownCache ? around.unfit(folder) : ''
    if (reason !== '') passedOver.push(reason)
    return reason === ''
  }
  const installed = withoutRepeats(installedFolders(around)).filter(fits)
  if (around.suffice(installed.map(({ folder }) => folder))) return { searched: installed, passedOver }
  const known = new Set(installed.map(({ folder }) => folder))
  const beside = around.python().filter((folder) => !known.has(folder))
  const python = beside.map((folder) => ({ folder, from: "python3's packages" }))
  return { searched: [...installed, ...python.filter(fits)], passedOver }
}

const oldestCudnn = [9, 8] as const

/**
 * Reason why the cuDNN of a folder cannot be used: cuDNN 9 is built for CUDA 12 and for CUDA 13, under the same names.
 * @returns empty if it can be used, or its version is unknown
 */
export function unfitCudnn(folder: string): string {
  const version = libraryVersion('cudnn', path.join(folder, 'libcudnn.so.9'))
  const [major, minor] = version.split('.').map(Number)
  const [oldestMajor, oldestMinor] = oldestCudnn
  if (version !== '' && (major !== oldestMajor || (minor ?? 0) < oldestMinor))
    return `cuDNN ${version} in ${folder} is too old: ${oldestCudnn.join('.')} or later is needed`
  const cuda = cudaOfCudnn(folder)
  if (cuda !== '' && cuda !== '13') return `cuDNN in ${folder} is for CUDA ${cuda}, and that for CUDA 13 is needed`
  return ''
}

/** NVIDIA's libraries that the CUDA backend needs, by the names of their pins. */
export type CudaPart = 'cudnn' | 'cublas' | 'nvrtc'

/** Names of their Python packages. */
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
 * Version of a library, from its file's name, the folders around it or its header; it is not opened.
 * @returns empty if the version is unknown
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

/** CUDA version that the cuDNN of a folder is built for (`12`), from the name of the cuBLASLt that it opens; empty if unknown. */
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
