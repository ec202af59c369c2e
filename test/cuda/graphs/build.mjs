import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { SetupProblem } from '../../../scripts/setup/problem.mjs'
import { buildWithCmake, root } from '../../setup/cmake.mjs'

const source = path.join(root, 'test', 'cuda', 'graphs')
const output = path.join(root, 'build-cuda', 'graphs')
const objects = path.join(root, 'build-cuda', 'CMakeFiles', 'vggnet_cuda.dir')

// Every function of the driver whose name stands in a library of cuDNN's.
function driverFunctions(libraries) {
  const names = new Set(['cuTensorMapReplaceAddress', 'cuTensorMapEncodeIm2colWide'])
  for (const name of ['graph', 'engines_runtime_compiled', 'ops']) {
    const file = `libcudnn_${name}.so.9`
    const folder = libraries.find((one) => existsSync(path.join(one, file)))
    if (!folder) throw new SetupProblem('LIBRARY_MISSING', `no ${file} in VGGNET_CUDA_LIBRARIES`)
    const bytes = readFileSync(path.join(folder, file)).toString('latin1')
    for (const [, found] of bytes.matchAll(/(?:\0|pfn_)(cu[A-Z][A-Za-z0-9]+(?:_v\d+)?(?:_pt[sd][sz])?)(?=\0)/g))
      names.add(found)
  }
  return names
}

function writeEntries(folder, libraries) {
  const written = readFileSync(path.join(source, 'driver.c'), 'utf8')
  const given = new Set([...written.matchAll(/^int (cu\w+)\(/gm)].map(([, name]) => name))
  const entries = [...driverFunctions(libraries)].filter((name) => !given.has(name)).sort()
  const text = entries.map((name) => `ENTRY(${name})\n`).join('')
  const file = path.join(folder, 'entries.h')
  mkdirSync(folder, { recursive: true })
  if (!existsSync(file) || readFileSync(file, 'utf8') !== text) writeFileSync(file, text)
}

const foldersIn = (variable) => {
  const folders = (process.env[variable] ?? '').split(path.delimiter).filter((folder) => folder)
  if (folders.length > 0) return folders
  throw new SetupProblem('LIBRARY_MISSING', `${variable} is not set: npm run test:cuda sets it`)
}

/**
 * Builds the program that makes cuDNN's plans for a card that is only described. VGGNET_CUDA_LIBRARIES and
 * VGGNET_CUDA_INCLUDES name the folders.
 * @returns its path, and the environment that it needs
 */
export async function buildPlans() {
  const libraries = foldersIn('VGGNET_CUDA_LIBRARIES')
  const includes = foldersIn('VGGNET_CUDA_INCLUDES')
  if (!existsSync(objects)) throw new SetupProblem('LIBRARY_MISSING', 'no CUDA library: npm run build:cuda builds it')
  writeEntries(output, libraries)
  await buildWithCmake(source, output, [
    `VGGNET_CUDA_LIBRARIES=${libraries.join(';')}`,
    `VGGNET_CUDA_INCLUDES=${includes.join(';')}`,
    `VGGNET_CUDA_OBJECTS=${objects}`,
  ])
  return {
    program: path.join(output, 'plans'),
    env: { LD_LIBRARY_PATH: [...libraries, path.join(output, 'driver')].join(':') },
  }
}
