import { chmodSync } from 'node:fs'
import path from 'node:path'
import { beforeEach, expect, test, vi } from 'vitest'
import { folderOf } from '../../lib/platform/wheels/cache.mjs'
import { cudaLibraryFiles, cudnnEngines, pins } from '../../lib/platform/wheels/pins.mjs'
import { cudaEnvironment, cudaLibraries, locations } from '../../scripts/setup/cuda-libraries.mjs'
import { newFolder, writeFiles } from './folder.js'

interface Versions {
  cudnn?: string
  cublas?: string
  frontend?: string
  /** What cuDNN's engines were built against. */
  engines?: string
}

const numbers = (version: string, ...macros: string[]) =>
  macros.map((macro, index) => `#define ${macro} ${version.split('.')[index]}\n`).join('')

const filesOf = {
  cudnn: (version: string, engines: string) => ({
    'include/cudnn.h': '',
    'include/cudnn_graph.h': '',
    'include/cudnn_version.h': numbers(version, 'CUDNN_MAJOR', 'CUDNN_MINOR'),
    ...Object.fromEntries(cudaLibraryFiles.cudnn.map((name) => [`lib/${name}`, ''])),
    [`lib/${cudnnEngines}`]: `\0${'x'.repeat(3 << 20)}${engines}\0`,
  }),
  cublas: (version: string) => ({
    'include/cublasLt.h': '',
    'include/cublas_api.h': numbers(version, 'CUBLAS_VER_MAJOR', 'CUBLAS_VER_MINOR'),
    'lib/libcublasLt.so.13': '',
  }),
  nvrtc: () => ({ 'include/nvrtc.h': '', 'lib/libnvrtc.so.13': '', 'lib/libnvrtc-builtins.so.13.0': '' }),
  frontend: (version: string) => ({
    'include/cudnn_frontend.h': '',
    'include/cudnn_frontend_version.h': numbers(
      version,
      'CUDNN_FRONTEND_MAJOR_VERSION',
      'CUDNN_FRONTEND_MINOR_VERSION',
    ),
  }),
}

/** A folder with include/ and lib/ as NVIDIA fills them, except what is in the files. */
function newHome({ cudnn = '9.19', cublas = '13.1', frontend = '1.32', engines = 'libcublasLt.so.13' }: Versions = {}) {
  const home = newFolder()
  writeFiles(home, {
    ...filesOf.cudnn(cudnn, engines),
    ...filesOf.cublas(cublas),
    ...filesOf.nvrtc(),
    ...filesOf.frontend(frontend),
  })
  return home
}

const foldersOf = (home: string) => ({ includes: [path.join(home, 'include')], libraries: [path.join(home, 'lib')] })
const find = (...homes: string[]) => cudaLibraries(() => homes.map(foldersOf))

beforeEach(() => {
  for (const name of ['VGGNET_CUDA_INCLUDES', 'VGGNET_CUDA_LIBRARIES', 'CUDA_HOME']) vi.stubEnv(name, '')
  vi.stubEnv('VGGNET_CACHE', path.join(newFolder(), 'cache'))
  // Nothing can be fetched: an error of pip says that a part was not found.
  vi.stubEnv('PIP_NO_INDEX', '1')
  vi.stubEnv('PIP_FIND_LINKS', newFolder())
  return () => vi.unstubAllEnvs()
})

test('the folders in the variables come first, and the environment for other programs is the same', async () => {
  const [named, other] = [newHome(), newHome()]
  const environment = cudaEnvironment(foldersOf(named))
  vi.stubEnv('VGGNET_CUDA_INCLUDES', environment.VGGNET_CUDA_INCLUDES)
  vi.stubEnv('VGGNET_CUDA_LIBRARIES', environment.VGGNET_CUDA_LIBRARIES)
  expect(await find(other)).toEqual(foldersOf(named))
  expect(cudaEnvironment(await find(other))).toEqual(environment)
})

test('the first location with all files of a part is used; parts may be in different locations', async () => {
  const [bare, cublas, full] = [newFolder(), newFolder(), newHome()]
  writeFiles(cublas, filesOf.cublas('13.0'))
  writeFiles(bare, { 'include/cudnn.h': '', 'lib/libcudnn.so.9': '', 'lib/libcublasLt.so.13': '' })
  expect(await find(bare, cublas, full)).toEqual({
    includes: [full, cublas].map((home) => path.join(home, 'include')),
    libraries: [full, cublas].map((home) => path.join(home, 'lib')),
  })
  expect(await find(full, cublas)).toEqual(foldersOf(full))
})

test.each<{ what: string; versions: Versions; why: RegExp }>([
  { what: 'an old cuDNN', versions: { cudnn: '9.7' }, why: /cuDNN 9\.7 in .*: 9\.8 or later is needed/ },
  { what: 'cuDNN 10', versions: { cudnn: '10.0' }, why: /cuDNN 10\.0 in/ },
  { what: 'cuDNN for CUDA 12', versions: { engines: 'libcublasLt.so.12' }, why: /is not for CUDA 13/ },
  { what: 'cuBLAS 12', versions: { cublas: '12.8' }, why: /cuBLASLt 12\.8 in .*: 13\.0 or later is needed/ },
  { what: 'an old frontend', versions: { frontend: '1.5' }, why: /cuDNN frontend 1\.5 in/ },
])('$what is skipped if found, and refused if the variables name it', async ({ versions, why }) => {
  const [unfit, full] = [newHome(versions), newHome()]
  const { includes } = await find(unfit, full)
  expect(includes).toContain(path.join(full, 'include'))
  vi.stubEnv('VGGNET_CUDA_INCLUDES', path.join(unfit, 'include'))
  vi.stubEnv('VGGNET_CUDA_LIBRARIES', path.join(unfit, 'lib'))
  await expect(find(full)).rejects.toMatchObject({ code: 'MISSING_TOOL', message: expect.stringMatching(why) })
})

test('a missing part is fetched, and skipped copies are reported', async () => {
  const said = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  await expect(find(newHome({ cudnn: '9.1' }))).rejects.toMatchObject({
    code: 'DOWNLOAD_FAILED',
    message: expect.stringContaining('nvidia-cudnn-cu13==9.19.0.56'),
  })
  const lines = said.mock.calls.join('')
  said.mockRestore()
  expect(lines).toMatch(
    /^setup: not used: cuDNN 9\.1 in .*\nsetup: cuDNN 9\.19\.0 \(367 MB, once per user\) \.\.\. failed/,
  )
})

test('locations: the cache, CUDA_HOME, the toolkit of nvcc, the system, and the packages of python3', async () => {
  const [tools, home, site] = [newFolder(), newFolder(), newFolder()]
  writeFiles(tools, {
    'bin/nvcc': '#!/bin/sh\necho "Cuda compilation tools, release 13.0, V13.0.88"\n',
    'bin/python3': `#!/bin/sh\necho\necho /nowhere\necho ${site}\n`,
  })
  for (const name of ['nvcc', 'python3']) chmodSync(path.join(tools, 'bin', name), 0o755)
  writeFiles(site, { 'nvidia/cu13/lib/libcublasLt.so.13': '' })
  vi.stubEnv('PATH', path.join(tools, 'bin'))
  vi.stubEnv('CUDA_HOME', home)
  const seen: string[][] = []
  for await (const { libraries } of locations()) seen.push(libraries)
  expect(seen).toHaveLength(6)
  const cached = folderOf(process.env.VGGNET_CACHE ?? '', 'cudnn', pins.cudnn)
  expect(seen[0]).toContain(path.join(cached, 'lib'))
  expect(seen[1]).toContain(path.join(home, 'lib64'))
  expect(seen[2]).toContain(path.join(tools, 'lib64'))
  expect(seen[3]).toContain('/usr/local/cuda/lib64')
  expect(seen[4]).toContain('/usr/lib/x86_64-linux-gnu')
  expect(seen[5]).toEqual([path.join(site, 'nvidia/cudnn/lib'), path.join(site, 'nvidia/cu13/lib')])
})
