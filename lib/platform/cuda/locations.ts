import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { cudaLibraryName, type Manifest, manifestOf, sizeFault } from '../load/manifest.js'
import { type CudaLocations, type Installation, installation } from '../native.js'
import { cacheFolder } from '../wheels/cache.mjs'
import { listingSites } from '../wheels/python.mjs'
import { cachedLibraries } from './cached.js'
import { type CudaSearch, type Surroundings, searchForCuda, unfitCudnn } from './folders.js'

/** Returns the path of this installation's CUDA library, or why there is none. */
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

/** Returns why a CUDA library must not be opened, or '' if it may be. Opening a truncated library can end the process. */
function damage(library: string): string {
  let manifest: Manifest | undefined
  try {
    if (library !== '') manifest = manifestOf(library)
  } catch {
    // the loader of the addon reports a damaged manifest
    return ''
  }
  const fault = manifest && sizeFault(path.dirname(library), path.basename(library), manifest)
  return fault ? `${library} is damaged, it ${fault.text}: reinstall the package` : ''
}

/** Returns how to get a missing library, and why the libraries that were found are not used. */
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

/** Lists the `lib` folders of the `nvidia` packages of the python3 in use. */
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

/** Returns why a cuDNN cannot be used. Opening it reports a file that cannot be read. */
function unfit(folder: string): string {
  try {
    return unfitCudnn(folder)
  } catch {
    return ''
  }
}

/**
 * Lists the folders that are searched for NVIDIA's libraries on this machine.
 * @throws UNSUPPORTED_PLATFORM, NATIVE_LOAD_FAILED
 */
export function cudaSearch(): CudaSearch {
  const { native } = installation()
  const suffice = (folders: readonly string[]): boolean =>
    native.findCudaFiles({ folders }).every(({ needed, path }) => !needed || path !== '')
  const { env } = process
  return searchForCuda({
    env,
    cached: () => cachedLibraries(cacheFolder(env)),
    list: listFolder,
    suffice,
    unfit,
    python: pythonFolders,
  })
}

/**
 * Returns where this process searches the CUDA libraries. Searches NVIDIA's only if there is a CUDA library that needs them.
 * @throws UNSUPPORTED_PLATFORM, NATIVE_LOAD_FAILED
 */
export function cudaLocations(): CudaLocations {
  const installed = cudaLibrary(installation(), process.env, existsSync)
  const noLibrary = damage(installed.library)
  const found = noLibrary === '' ? installed : { library: '', noLibrary }
  const search = found.library === '' ? { searched: [], passedOver: [] } : cudaSearch()
  return { ...found, folders: search.searched.map(({ folder }) => folder), filesCure: filesCure(search) }
}
