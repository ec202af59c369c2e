import { createReadStream, existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs'
import path from 'node:path'
import { cacheFolder, folderOf } from '../../lib/platform/wheels/cache.mjs'
import { cublasLtLibrary, cudaLibraryFiles, cudnnEngines, oldestCudnn, pins } from '../../lib/platform/wheels/pins.mjs'
import { cacheExposure } from '../../lib/platform/wheels/private.mjs'
import { listingSites } from '../../lib/platform/wheels/python.mjs'
import { run } from './command.mjs'
import { SetupProblem } from './problem.mjs'
import { findNvcc } from './tools.mjs'
import { fetched } from './wheel.mjs'

/**
 * @typedef {{ includes: string[], libraries: string[] }} Folders to look for headers and for libraries in
 * @typedef {{ name: string, headers: string[], libraries: string[], version?: string[], needed?: string, mention?: string[] }} Part
 *   of NVIDIA's libraries, named as its pin is; `version`: the header and the macros that say which it is; `mention`: a file
 *   and what must be written in it
 */

/** @type {Part[]} */
const parts = [
  {
    name: 'cudnn',
    headers: ['cudnn.h', 'cudnn_graph.h'],
    libraries: cudaLibraryFiles.cudnn,
    version: ['cudnn_version.h', 'CUDNN_MAJOR', 'CUDNN_MINOR'],
    needed: oldestCudnn,
    // cuDNN 9 is built for CUDA 12 and for CUDA 13, under the same names.
    mention: [cudnnEngines, cublasLtLibrary],
  },
  {
    name: 'cublas',
    headers: ['cublasLt.h'],
    libraries: cudaLibraryFiles.cublas,
    version: ['cublas_api.h', 'CUBLAS_VER_MAJOR', 'CUBLAS_VER_MINOR'],
    needed: '13.0',
  },
  { name: 'nvrtc', headers: ['nvrtc.h'], libraries: cudaLibraryFiles.nvrtc },
  {
    name: 'cudnn-frontend',
    headers: ['cudnn_frontend.h'],
    libraries: [],
    version: ['cudnn_frontend_version.h', 'CUDNN_FRONTEND_MAJOR_VERSION', 'CUDNN_FRONTEND_MINOR_VERSION'],
    needed: '1.32',
  },
]

// A name that ends in a dot matches any further version.
const folderWith = (folders, wanted) =>
  folders.find((folder) => {
    if (!wanted.endsWith('.')) return existsSync(path.join(folder, wanted))
    return existsSync(folder) && readdirSync(folder).some((name) => name.startsWith(wanted))
  })

function versionIn(file, macros) {
  const text = existsSync(file) ? readFileSync(file, 'utf8') : ''
  return macros.map((macro) => new RegExp(`define ${macro} +(\\d+)`).exec(text)?.[1] ?? '0').join('.')
}

// The same major version, and the same or a later minor version.
function serves(version, needed) {
  const [major, minor] = version.split('.').map(Number)
  const [neededMajor, neededMinor] = needed.split('.').map(Number)
  return major === neededMajor && minor >= neededMinor
}

async function mentions(file, words) {
  let end = ''
  for await (const block of createReadStream(file, { encoding: 'latin1', highWaterMark: 1 << 20 })) {
    if ((end + block).includes(words)) return true
    end = block.slice(-words.length)
  }
  return false
}

/** Finds the folders of a part in a location. Returns nothing if the part is missing or incomplete, or why it cannot be used. */
async function look(part, location) {
  const includes = part.headers.map((header) => folderWith(location.includes, header))
  const libraries = part.libraries.map((library) => folderWith(location.libraries, library))
  if (![...includes, ...libraries].every((folder) => folder)) return {}
  if (part.version) {
    const [header, ...macros] = part.version
    const version = versionIn(path.join(includes[0], header), macros)
    const { title } = pins[part.name]
    if (!serves(version, part.needed)) {
      return {
        unfit: `${title.replace(/ [\d.]+$/, '')} ${version} in ${includes[0]}: ${part.needed} or later is needed`,
      }
    }
  }
  if (part.mention) {
    const [library, words] = part.mention
    const folder = folderWith(location.libraries, library)
    if (!(await mentions(path.join(folder, library), words))) {
      return { unfit: `${library} in ${folder} is not for CUDA 13: there is no ${words} in it` }
    }
  }
  return { found: { includes, libraries } }
}

const listOf = (variable) => (variable ?? '').split(path.delimiter).filter((folder) => folder)
const toolkit = (home) => ({
  includes: [path.join(home, 'include')],
  libraries: [path.join(home, 'lib64'), path.join(home, 'lib')],
})

// Python's packages: nvidia/cu13 is CUDA 13's, as a PyTorch brings it; the frontend's headers lie beside.
async function pythonLocations() {
  const { ok, stdout } = await run('python3', listingSites.words, listingSites)
  const sites = ok ? stdout.split('\n').filter((site) => site && existsSync(path.join(site, 'nvidia', 'cu13'))) : []
  return sites.map((site) => {
    const homes = ['cudnn', 'cu13'].map((name) => path.join(site, 'nvidia', name))
    return {
      includes: [...homes.map((home) => path.join(home, 'include')), path.join(site, 'include')],
      libraries: homes.map((home) => path.join(home, 'lib')),
    }
  })
}

/** Lists the locations that may contain the libraries, in the order of the search. */
export async function* locations() {
  const { CUDA_HOME } = process.env
  const cache = cacheFolder()
  // `fetched` refuses a cache that others can write to
  const pinned = cacheExposure(cache) ? [] : parts.map(({ name }) => folderOf(cache, name, pins[name]))
  yield {
    includes: pinned.map((folder) => path.join(folder, 'include')),
    libraries: pinned.map((folder) => path.join(folder, 'lib')),
  }
  if (CUDA_HOME) yield toolkit(CUDA_HOME)
  yield toolkit(path.resolve(realpathSync(await findNvcc()), '../..'))
  yield toolkit('/usr/local/cuda')
  yield {
    includes: ['/usr/include', '/usr/include/x86_64-linux-gnu', '/usr/local/include'],
    libraries: ['/usr/lib/x86_64-linux-gnu', '/usr/lib64', '/usr/local/lib'],
  }
  yield* await pythonLocations()
}

async function findPart(part, candidates) {
  const { VGGNET_CUDA_INCLUDES, VGGNET_CUDA_LIBRARIES } = process.env
  const named = await look(part, { includes: listOf(VGGNET_CUDA_INCLUDES), libraries: listOf(VGGNET_CUDA_LIBRARIES) })
  if (named.unfit) {
    throw new SetupProblem('MISSING_TOOL', `${named.unfit} (VGGNET_CUDA_INCLUDES and VGGNET_CUDA_LIBRARIES name it)`)
  }
  if (named.found) return named.found
  const unfit = []
  for await (const location of candidates()) {
    const seen = await look(part, location)
    if (seen.found) return seen.found
    if (seen.unfit) unfit.push(seen.unfit)
  }
  for (const why of unfit) process.stderr.write(`setup: not used: ${why}\n`)
  const folder = await fetched(part.name)
  return {
    includes: [path.join(folder, 'include')],
    libraries: part.libraries.map(() => path.join(folder, 'lib')),
  }
}

const withoutRepeats = (folders) => [...new Set(folders)]

/**
 * Headers and libraries of cuDNN, cuBLASLt, NVRTC and the cuDNN frontend: where VGGNET_CUDA_INCLUDES and
 * VGGNET_CUDA_LIBRARIES say, else in `candidates`, else from NVIDIA's wheels (891 MB where all are missing).
 * @param {() => Iterable<Folders> | AsyncIterable<Folders>} [candidates]
 * @returns {Promise<Folders>}
 */
export async function cudaLibraries(candidates = locations) {
  const found = []
  for (const part of parts) found.push(await findPart(part, candidates))
  return {
    includes: withoutRepeats(found.flatMap(({ includes }) => includes)),
    libraries: withoutRepeats(found.flatMap(({ libraries }) => libraries)),
  }
}

/** Returns the environment in which the addon finds the libraries. */
export function cudaEnvironment({ includes, libraries }) {
  return {
    VGGNET_CUDA_INCLUDES: includes.join(path.delimiter),
    VGGNET_CUDA_LIBRARIES: libraries.join(path.delimiter),
  }
}
