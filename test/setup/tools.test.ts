import { chmodSync } from 'node:fs'
import path from 'node:path'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { cacheFolder } from '../../lib/platform/wheels/cache.mjs'
import { checkPlatform } from '../../lib/platform/wheels/problem.mjs'
import { findPython } from '../../lib/platform/wheels/python.mjs'
import { checkNode, findCompiler, findNvcc, hasCmake, hasNinja } from '../../scripts/setup/tools.mjs'
import { newFolder, writeFiles } from './folder.js'

afterEach(() => {
  vi.unstubAllEnvs()
})

// A folder with one shell script in it, which says `output`.
function folderWithProgram(name: string, output: string): string {
  const folder = newFolder()
  writeFiles(folder, { [name]: `#!/bin/sh\necho '${output}'\n` })
  chmodSync(path.join(folder, name), 0o755)
  return folder
}

test('this platform is accepted, and others are named', () => {
  expect(() => checkPlatform()).not.toThrow()
  const glibc = '2.36'
  const refused = (platform: string, arch: string, libc: string | undefined) => {
    try {
      checkPlatform({ platform, arch, glibc: libc })
    } catch (error) {
      return error
    }
  }
  expect(refused('darwin', 'arm64', undefined)).toMatchObject({
    code: 'UNSUPPORTED_PLATFORM',
    message: 'Expected Linux on x64 with glibc for vggnet but received darwin arm64',
  })
  expect(refused('linux', 'arm64', glibc)).toMatchObject({ message: expect.stringMatching(/linux arm64$/) })
  expect(refused('linux', 'x64', undefined)).toMatchObject({
    message: expect.stringMatching(/without glibc \(musl\)$/),
  })
})

test('Node before 20.17 is refused', () => {
  for (const version of ['20.17.0', '20.20.2', '22.0.0', '26.1.0']) expect(() => checkNode(version)).not.toThrow()
  for (const version of ['18.20.0', '20.16.1']) expect(() => checkNode(version)).toThrow(`but received ${version}`)
})

test('a missing tool is one sentence with the command that installs it', async () => {
  vi.stubEnv('PATH', newFolder())
  vi.stubEnv('CXX', '')
  await expect(findCompiler()).rejects.toMatchObject({
    code: 'MISSING_TOOL',
    message: 'g++ is missing and is needed to build vggnet: install it with `sudo apt-get install g++`',
  })
  await expect(findPython()).rejects.toMatchObject({ message: expect.stringContaining('install python3`') })
  expect(await hasCmake()).toBe(false)
  expect(await hasNinja()).toBe(false)
})

test('the install command is that of the package manager of the system', async () => {
  vi.stubEnv('PATH', folderWithProgram('dnf', ''))
  vi.stubEnv('CXX', '')
  await expect(findCompiler()).rejects.toThrow('`sudo dnf install gcc-c++`')
})

test('a Python without pip and a missing Python have different errors', async () => {
  const folder = newFolder()
  writeFiles(folder, { python3: '#!/bin/sh\ntest "$*" = "-I --version"\n' })
  chmodSync(path.join(folder, 'python3'), 0o755)
  vi.stubEnv('PATH', folder)
  await expect(findPython()).rejects.toThrow(/^pip for Python 3 is missing .* install python3-pip`$/)
})

test('the first Python with pip is used: some venvs have no pip', async () => {
  const [venv, system] = [newFolder(), newFolder()]
  writeFiles(venv, { python3: '#!/bin/sh\ntest "$*" = "-I --version"\n' })
  writeFiles(system, { python3: '#!/bin/sh\n' })
  for (const folder of [venv, system]) chmodSync(path.join(folder, 'python3'), 0o755)
  vi.stubEnv('PATH', [venv, system].join(path.delimiter))
  await expect(findPython()).resolves.toBe(path.join(system, 'python3'))
})

test('an old g++ is refused with the version found', async () => {
  vi.stubEnv('CXX', path.join(folderWithProgram('g++-9', '9.4.0'), 'g++-9'))
  await expect(findCompiler()).rejects.toThrow('Expected g++ 11 or later but received 9.4.0')
})

describe('nvcc', () => {
  const nvcc = (release: string) =>
    folderWithProgram('nvcc', `Cuda compilation tools, release ${release}, V${release}.88`)

  test('on the PATH comes first', async () => {
    const folder = nvcc('13.1')
    vi.stubEnv('PATH', folder)
    await expect(findNvcc()).resolves.toBe(path.join(folder, 'nvcc'))
  })

  test('in CUDA_HOME is used if the one on the PATH is old', async () => {
    const home = newFolder()
    writeFiles(home, { 'bin/nvcc': '#!/bin/sh\necho release 13.0, V13.0.88\n' })
    chmodSync(path.join(home, 'bin/nvcc'), 0o755)
    vi.stubEnv('PATH', nvcc('11.8'))
    vi.stubEnv('CUDA_HOME', home)
    await expect(findNvcc()).resolves.toBe(path.join(home, 'bin/nvcc'))
  })

  test('that is missing or old is one sentence with the cure', async () => {
    vi.stubEnv('PATH', newFolder())
    await expect(findNvcc([])).rejects.toMatchObject({
      code: 'MISSING_TOOL',
      message: expect.stringMatching(
        /^nvcc is missing .*: install NVIDIA's CUDA toolkit 13\.0 or later, .* CUDA_HOME$/,
      ),
    })
    vi.stubEnv('PATH', nvcc('12.8'))
    await expect(findNvcc([])).rejects.toThrow(/^Expected nvcc 13\.0 or later but received 12\.8 \(.*nvcc\): install/)
  })
})

test('an old cmake is not used', async () => {
  vi.stubEnv('PATH', folderWithProgram('cmake', 'cmake version 3.16.3'))
  expect(await hasCmake()).toBe(false)
  vi.stubEnv('PATH', folderWithProgram('cmake', 'cmake version 3.22.1'))
  expect(await hasCmake()).toBe(true)
})

test('the cache is VGGNET_CACHE, else under XDG_CACHE_HOME, else under the home folder', () => {
  expect(cacheFolder({ VGGNET_CACHE: '/a/b', XDG_CACHE_HOME: '/x' })).toBe('/a/b')
  expect(cacheFolder({ XDG_CACHE_HOME: '/x' })).toBe('/x/vggnet')
  expect(cacheFolder({ XDG_CACHE_HOME: 'relative' })).toMatch(/\/\.cache\/vggnet$/)
  expect(cacheFolder({})).toMatch(/\/\.cache\/vggnet$/)
})
