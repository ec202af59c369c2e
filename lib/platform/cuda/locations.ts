import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { cudaLibraryName, type Manifest, manifestOf, sizeFault } from '../load/manifest.js'
import { type CudaLocations, type Installation, installation } from '../native.js'
import { cacheFolder } from '../wheels/cache.mjs'
import { listingSites } from '../wheels/python.mjs'
import { type CudaSearch, type Surroundings, searchForCuda, unfitCudnn } from './folders.js'

/** The CUDA library of this installation, or why there is none. */
export function cudaLibrary(
  { root, checkout, binary }: Pick<Installation, 'root' | 'checkout' | 'binary'>,
  env: Surroundings['env'],
  exists: (file: string) => boolean,
): Pick<CudaLocations, 'library' | 'noLibrary'> {
  const { VGGNET_CUDA_BINARY: chosen } = env
  const candidates = chosen
    ? [path.resolve(chosen)]
    : [path.join(path.dirname(binary), cudaLibraryName), path.join(root, 'build-cuda', 'Release', cudaLibraryName)]
  const library = candidates.find(exists) ?? ''
  if (chosen) return { library, noLibrary: `there is no file ${candidates[0]}, which VGGNET_CUDA_BINARY names` }
  const noLibrary = checkout
    ? `this checkout has no CUDA library (${cudaLibraryName}): \`npm run build:cuda\` builds it`
    : `this installation has no CUDA library (${cudaLibraryName}): \`npm run build:cuda\` in a checkout of vggnet ` +
      'builds it, and VGGNET_CUDA_BINARY names it'
  return { library, noLibrary }
}

/** Why a CUDA library is not to be opened: opening a truncated one can end the process; empty where it may be. */
function damage(library: string): string {
  let manifest: Manifest | undefined
  try {
    if (library !== '') manifest = manifestOf(library)
  } catch {
    // beside the addon's own binary that is for its loader to say
    return ''
  }
  const fault = manifest && sizeFault(path.dirname(library), path.basename(library), manifest)
  return fault ? `${library} is damaged, it ${fault.text}: reinstall the package` : ''
}

/** What is to be done where a library is missing, and what there was that could not be taken. */
export function filesCure({ passedOver }: Pick<CudaSearch, 'passedOver'>): string {
  const cure = '`npx vggnet cuda install` fetches it, or VGGNET_CUDA_LIBRARIES=FOLDER:FOLDER names where it lies'
  return [...passedOver.map((reason) => `not used: ${reason}`), cure].join('; ')
}

function listFolder(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

/** The `lib` folders of the `nvidia` packages of the python3 in use. */
function pythonFolders(): readonly string[] {
  const { words, cwd } = listingSites
  const { status, stdout } = spawnSync('python3', words, {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: 5000,
  })
  const packages = status === 0 ? stdout.split('\n').filter(Boolean) : []
  return packages
    .map((site) => path.join(site, 'nvidia'))
    .flatMap((nvidia) => [...listFolder(nvidia)].sort().map((name) => path.join(nvidia, name, 'lib')))
    .filter((folder) => existsSync(folder))
}

/** Why a cuDNN cannot serve; one that cannot be read is left to whoever opens it. */
function unfit(folder: string): string {
  try {
    return unfitCudnn(folder)
  } catch {
    return ''
  }
}

/**
 * Where NVIDIA's libraries are looked for on this machine.
 * @throws UNSUPPORTED_PLATFORM, NATIVE_LOAD_FAILED
 */
export function cudaSearch(): CudaSearch {
  const { native } = installation()
  const suffice = (folders: readonly string[]): boolean =>
    native.findCudaFiles({ folders }).every(({ needed, path }) => !needed || path !== '')
  const { env } = process
  return searchForCuda({ env, cache: cacheFolder(env), list: listFolder, suffice, unfit, python: pythonFolders })
}

/**
 * Where this process looks for libraries of CUDA; for NVIDIA's only where there is something that needs them.
 * @throws UNSUPPORTED_PLATFORM, NATIVE_LOAD_FAILED
 */
export function cudaLocations(): CudaLocations {
  const there = cudaLibrary(installation(), process.env, existsSync)
  const noLibrary = damage(there.library)
  const found = noLibrary === '' ? there : { library: '', noLibrary }
  const search = found.library === '' ? { searched: [], passedOver: [] } : cudaSearch()
  return { ...found, folders: search.searched.map(({ folder }) => folder), filesCure: filesCure(search) }
}
