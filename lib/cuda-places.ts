import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { cacheFolder } from './cache-folder.js'
import { type CudaPlaces, type Installation, installation } from './native.js'

/** Without the suffix .node: the loader of binaries would take it for the addon. */
const libraryName = 'libvggnet_cuda.so'

/** What the search for NVIDIA's libraries depends on. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>
  /** The folder that all clones of one user share. */
  readonly cache: string
  /** Names of what a folder holds; none where it does not exist. */
  list(folder: string): readonly string[]
  /** Whether these folders hold all that is needed. */
  suffice(folders: readonly string[]): boolean
  /** Folders of the `nvidia` packages of the python3 in use; costs a process. */
  python(): readonly string[]
}

const pathList = (value: string | undefined): string[] => (value ?? '').split(path.delimiter).filter(Boolean)

/** The newest first: the cache keeps what older versions of vggnet were built with. */
function cachedFolders({ cache, list }: Surroundings): string[] {
  const newestFirst = (a: string, b: string): number => b.localeCompare(a, 'en', { numeric: true })
  return list(cache)
    .filter((name) => !name.startsWith('.'))
    .sort(newestFirst)
    .map((name) => path.join(cache, name, 'lib'))
    .filter((folder) => list(folder).some((name) => /^lib(cudnn|cublasLt|nvrtc)[._]/.test(name)))
}

/** The folders that are searched for NVIDIA's libraries, in order; python3 is asked only where the others lack some. */
export function cudaFolders(around: Surroundings): string[] {
  const { env, suffice } = around
  const installed = [
    ...pathList(env.VGGNET_CUDA_LIBRARIES).map((folder) => path.resolve(folder)),
    ...cachedFolders(around),
    ...[env.CUDA_HOME, env.CUDA_PATH, '/usr/local/cuda'].flatMap((home) => (home ? [path.join(home, 'lib64')] : [])),
    ...pathList(env.LD_LIBRARY_PATH).map((folder) => path.resolve(folder)),
    '/usr/lib/x86_64-linux-gnu',
    '/usr/lib64',
  ]
  const folders = suffice(installed) ? installed : [...installed, ...around.python()]
  return [...new Set(folders)]
}

/** The CUDA library of this installation, or why there is none. */
export function cudaLibrary(
  { root, checkout, binary }: Pick<Installation, 'root' | 'checkout' | 'binary'>,
  env: Surroundings['env'],
  exists: (file: string) => boolean,
): Pick<CudaPlaces, 'library' | 'noLibrary'> {
  const { VGGNET_CUDA_BINARY: chosen } = env
  const candidates = chosen
    ? [path.resolve(chosen)]
    : [path.join(path.dirname(binary), libraryName), path.join(root, 'build-cuda', 'Release', libraryName)]
  const library = candidates.find(exists) ?? ''
  if (chosen) return { library, noLibrary: `there is no file ${candidates[0]}, which VGGNET_CUDA_BINARY names` }
  const noLibrary = checkout
    ? `this checkout has no CUDA library (${libraryName}): \`npm run build:cuda\` builds it`
    : `this installation has no CUDA library (${libraryName}): \`npm run build:cuda\` in a checkout of vggnet ` +
      'builds it, and VGGNET_CUDA_BINARY names it'
  return { library, noLibrary }
}

const filesCure = (checkout: boolean): string =>
  `${checkout ? '`npm run build:cuda` fetches it, or ' : ''}VGGNET_CUDA_LIBRARIES=FOLDER:FOLDER names where it lies`

function listFolder(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

// No import: with -c the working folder comes first on sys.path, and a file there must not be run. os is loaded already.
const pythonProgram = `
import sys
os = sys.modules["os"]
for place in [place for place in sys.path if place]:
    nvidia = os.path.join(place, "nvidia")
    for name in sorted(os.listdir(nvidia)) if os.path.isdir(nvidia) else []:
        folder = os.path.join(nvidia, name, "lib")
        if os.path.isdir(folder):
            print(folder)
`

function pythonFolders(): readonly string[] {
  const { status, stdout } = spawnSync('python3', ['-c', pythonProgram], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: 5000,
  })
  return status === 0 ? stdout.split('\n').filter(Boolean) : []
}

/** Where this process looks for libraries of CUDA. */
export function cudaPlaces(): CudaPlaces {
  const installed = installation()
  const { env } = process
  const found = cudaLibrary(installed, env, existsSync)
  const cure = { filesCure: filesCure(installed.checkout) }
  const suffice = (folders: readonly string[]): boolean =>
    installed.native.findCudaFiles({ folders }).every(({ needed, path }) => !needed || path !== '')
  const python = found.library === '' ? () => [] : pythonFolders
  const around = { env, cache: cacheFolder(env), list: listFolder, suffice, python }
  return { ...found, ...cure, folders: cudaFolders(around) }
}
