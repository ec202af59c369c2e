import { spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { cachedLibraries } from '../../lib/platform/cuda/cached.js'
import { cacheFolder, fetchingFiles, folderOf } from '../../lib/platform/wheels/cache.mjs'
import { cudaLibraryFiles, cudaPins, pins } from '../../lib/platform/wheels/pins.mjs'
import { commandLine, start, vggnet } from '../setup/command.js'
import { newFolder, writeFiles } from '../setup/folder.js'
import { type Manners, pipOf, startIndex } from '../setup/wheel-index.js'

const [cudnnWheel] = pins.cudnn.wheels
const newCache = () => path.join(newFolder(), 'cache')

/** An index that serves bytes of no meaning as the first wheel. */
async function startCudnnIndex(manners: Manners) {
  const folder = newFolder()
  writeFileSync(path.join(folder, cudnnWheel?.file ?? ''), Buffer.alloc(3_000_000, 'bytes'))
  return startIndex(folder, cudnnWheel ?? { requirement: '', file: '', bytes: 0, sha256: '' }, manners)
}

/** Empty files with the names of a pin's libraries, in a folder as the cache has it; a number for each dot at an end. */
function fakeLibraries(cache: string, part: (typeof cudaPins)[number], leave: string[] = []): string {
  const folder = path.join(folderOf(cache, part, pins[part]), 'lib')
  const names = cudaLibraryFiles[part].map((name) => name.replace(/\.$/, '.0')).filter((name) => !leave.includes(name))
  writeFiles(folder, Object.fromEntries(names.map((name) => [name, 'x'.repeat(1000)])))
  return folder
}

describe('vggnet cuda install', () => {
  test('prints sizes and progress, keeps the download at Ctrl-C, and continues it', async () => {
    const cache = newCache()
    const index = await startCudnnIndex({ bytesPerSecond: 300_000 })
    const environment = { ...pipOf(index), VGGNET_CACHE: cache }
    const part = fetchingFiles(cache, { file: cudnnWheel?.file ?? '' }).part
    const interrupt = async (bytes: number) => {
      const { child, ended } = start(commandLine, ['cuda', 'install'], environment)
      onTestFinished(() => {
        child.kill('SIGKILL')
      })
      while ((statSync(part, { throwIfNoEntry: false })?.size ?? 0) < bytes) await pause(20)
      child.kill('SIGINT')
      return ended
    }
    const first = await interrupt(200_000)
    expect(first.code).toBe(130)
    expect(first.stdout).toContain(
      `NVIDIA's libraries, into ${cache}:\n  cuDNN 9.19.0     366 MB to fetch; 385 MB on disk\n`,
    )
    expect(first.stdout).toMatch(/ {2}total {12}879 MB to fetch; 1\.04 GB on disk, .* free\n$/)
    expect(first.stderr).toMatch(/^cuDNN 9\.19\.0: 0 of 3 MB\n/)
    const kept = statSync(part).size
    expect(first.stderr).toContain(
      `Interrupted; ${(kept / 1e6).toFixed(2)} MB of 879 MB are kept in ${cache}: \`npx vggnet cuda install\` continues\n`,
    )
    expect(readdirSync(cache)).toEqual([path.basename(part)])
    expect((await interrupt(kept + 100_000)).code).toBe(130)
    expect(index.starts).toEqual([0, kept])
    const { stdout } = await vggnet(['cuda', 'status'], environment)
    expect(stdout.replaceAll(/\s+/g, ' ')).toContain('MB fetched by an interrupted install, in')
    const removed = await vggnet(['cuda', 'remove'], environment)
    expect(removed).toMatchObject({ code: 0, stdout: expect.stringContaining(path.basename(part)) })
    expect(existsSync(part)).toBe(false)
  })

  test('an error is one line after the output of pip, with exit code 1', async () => {
    const environment = { VGGNET_CACHE: newCache(), PIP_NO_INDEX: '1', PIP_FIND_LINKS: newFolder() }
    const { code, stderr } = await vggnet(['cuda', 'install', '--json'], environment)
    expect(stderr).toMatch(/(^|\n)vggnet: DOWNLOAD_FAILED: pip could not download nvidia-cudnn-cu13==[^\n]+\n$/)
    expect(code).toBe(1)
  })

  test('without Python it prints which files are needed', async () => {
    const cache = newCache()
    const { code, stdout, stderr } = await vggnet(['cuda', 'install'], { VGGNET_CACHE: cache, PATH: newFolder() })
    expect(code).toBe(1)
    expect(stderr).toMatch(/^vggnet: MISSING_TOOL: Python 3 is missing and is needed to fetch libraries: install .*\n$/)
    for (const name of cudaPins) {
      for (const { file, sha256, requirement } of pins[name].wheels) {
        for (const word of [file, sha256, requirement]) expect(stdout).toContain(word)
      }
      for (const name of cudaLibraryFiles.cudnn) expect(stdout).toContain(name)
    }
    expect(stdout).toContain(`verifies them and unpacks them into ${cache}.`)
    expect(stdout.split('\n').filter((line) => line.length > 80 && !/^ {2}nvidia_|into \//.test(line))).toEqual([])
  })

  test('--manual prints the same, also as JSON', async () => {
    const cache = newCache()
    const { code, stdout } = await vggnet(['cuda', 'install', '--manual', '--json'], { VGGNET_CACHE: cache })
    const { libraries, ...rest } = JSON.parse(stdout)
    expect({ code, rest }).toEqual({ code: 0, rest: { cache } })
    expect(libraries.map(({ folder }: { folder: string }) => folder)).toEqual([
      'nvidia/cudnn/lib',
      ...Array(2).fill('nvidia/cu13/lib'),
    ])
    expect(libraries[0].wheels).toMatchObject([{ file: cudnnWheel?.file, bytes: 366_066_321 }])
  })

  test('--from a folder without the wheels names the one that is missing', async () => {
    const [cache, from] = [newCache(), newFolder()]
    const { code, stderr } = await vggnet(['cuda', 'install', '--from', from], { VGGNET_CACHE: cache, PATH: '' })
    expect(stderr).toMatch(new RegExp(`^vggnet: FILE_NOT_FOUND: there is no ${cudnnWheel?.file} in ${from}\n$`))
    expect({ code, kept: readdirSync(cache) }).toEqual({ code: 1, kept: [] })
  })

  const installed = cachedLibraries(cacheFolder()).folders.length === cudaPins.length
  test.skipIf(!installed)('does nothing where all libraries are installed', async () => {
    const { code, stdout } = await vggnet(['cuda', 'install'], { PATH: '' })
    const found = `All libraries are already in ${cacheFolder()}.`
    expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringContaining(found) })
    const { libraries } = JSON.parse((await vggnet(['cuda', 'install', '--json'], { PATH: '' })).stdout)
    expect(libraries.map(({ fetched }: { fetched: boolean }) => fetched)).toEqual([false, false, false])
  })

  test('refuses a cache with other libraries, and one that others can write to', async () => {
    const cache = newCache()
    for (const part of cudaPins) fakeLibraries(cache, part)
    const [cudnn = ''] = cudaPins.map((part) => path.join(folderOf(cache, part, pins[part]), 'lib'))
    const other = await vggnet(['cuda', 'install'], { VGGNET_CACHE: cache, PATH: '' })
    expect(other).toMatchObject({ code: 1, stdout: '' })
    expect(other.stderr).toBe(
      `vggnet: HASH_MISMATCH: ${cudnn}/libcudnn.so.9 has 1000 bytes instead of 129240: \`npx vggnet cuda remove\` and then \`npx vggnet cuda install\` replaces it\n`,
    )
    chmodSync(cache, 0o777)
    const exposed = await vggnet(['cuda', 'install'], { VGGNET_CACHE: cache, PATH: '' })
    expect(exposed).toMatchObject({ code: 1, stdout: '' })
    expect(exposed.stderr).toBe(
      `vggnet: FILE_WRITE: The cache is not private, and is not used: other users can write to ${cache} (mode 777): \`chmod -R go-w '${cache}'\`\n`,
    )
  })

  test('--from and --manual together are wrong use', async () => {
    const words = ['cuda', 'install', '--from', 'x', '--manual']
    const { code, stderr } = await vggnet(words, { VGGNET_CACHE: newCache() })
    expect(stderr).toMatch(/^vggnet: INVALID_ARGUMENT: [^\n]+\n$/)
    expect(code).toBe(2)
  })
})

describe('vggnet cuda status', () => {
  async function status(environment: NodeJS.ProcessEnv) {
    const { code, stdout, stderr } = await vggnet(['cuda', 'status', '--json'], environment)
    expect(stderr).toBe('')
    return { code, found: JSON.parse(stdout) }
  }

  test('prints version, location and size of each library, and the next action', async () => {
    const cache = newCache()
    const folders = cudaPins.map((part) => fakeLibraries(newFolder(), part))
    const environment = {
      VGGNET_CACHE: cache,
      VGGNET_CUDA_LIBRARIES: folders.join(':'),
      VGGNET_CUDA_BINARY: '/nowhere/libvggnet_cuda.so',
    }
    const { code, found } = await status(environment)
    expect(code).toBe(0)
    expect(found).toMatchObject({ ready: true, cache, bytesBegun: 0, passedOver: [] })
    const position = { found: true, from: 'VGGNET_CUDA_LIBRARIES', missing: [] }
    expect(found.libraries).toEqual([
      { name: 'cuDNN', needed: true, version: '9.19.0.56', folder: folders[0], bytes: 7000, ...position },
      { name: 'cuBLASLt', needed: true, version: '13.1.0.3', folder: folders[1], bytes: 1000, ...position },
      { name: 'NVRTC', needed: false, version: '13.0.88', folder: folders[2], bytes: 2000, ...position },
    ])
    expect(found.next).toContain('there is no file /nowhere/libvggnet_cuda.so, which VGGNET_CUDA_BINARY names')
    expect(found.next).not.toContain('cuda install')
    const { stdout } = await vggnet(['cuda', 'status'], environment)
    for (const title of ['cuDNN', 'cuBLASLt', 'NVRTC', 'vggnet', 'driver', 'next'])
      expect(stdout).toMatch(new RegExp(`^${title} +\\S`, 'm'))
    expect(stdout.split('\n').filter((line) => line.length > 80 && line.trim().includes(' '))).toEqual([])
  })

  test('skips an incomplete cuDNN and one for CUDA 12, and reports them', async () => {
    const [whole, half, foreign] = [newFolder(), newFolder(), newFolder()]
    const folders = cudaPins.map((part) => fakeLibraries(whole, part))
    writeFiles(half, { 'libcudnn.so.9': '', 'libcudnn_graph.so.9': '' })
    const names = cudaLibraryFiles.cudnn.map((name): [string, string] => [name, 'libcublasLt.so.12'])
    writeFiles(foreign, Object.fromEntries(names))
    const { code, found } = await status({
      VGGNET_CACHE: newCache(),
      VGGNET_CUDA_LIBRARIES: [half, foreign, ...folders].join(':'),
    })
    expect(code).toBe(0)
    expect(found.libraries[0].folder).toBe(folders[0])
    expect(found.passedOver).toEqual([
      `cuDNN in ${foreign} is for CUDA 12, but CUDA 13 is needed`,
      expect.stringContaining(`cuDNN in ${half} is not complete: libcudnn_ops.so.9, `),
    ])
  })

  test('uses nothing in the cache but the pinned libraries, and reports why', async () => {
    const cache = newCache()
    for (const part of cudaPins) fakeLibraries(cache, part)
    // what any folder with such names was good for
    writeFiles(cache, Object.fromEntries(cudaLibraryFiles.cudnn.map((name) => [`mine/lib/${name}`, 'code'])))
    const { found } = await status({ VGGNET_CACHE: cache, PATH: '' })
    for (const { from } of found.libraries) expect(from).not.toBe("vggnet's cache")
    const refused = cudaPins.map((part) => folderOf(cache, part, pins[part]))
    expect(found.passedOver.filter((text: string) => text.startsWith(cache))).toEqual(
      refused.map((folder) =>
        expect.stringMatching(new RegExp(`^${folder}/lib/lib\\S+ has 1000 bytes instead of \\d+: `)),
      ),
    )
  })

  test('finds the libraries of CUDA_HOME, and packages of python3 for the rest', async () => {
    const [home, site] = [newFolder(), newFolder()]
    const toolkit = [...cudaLibraryFiles.cublas, ...cudaLibraryFiles.nvrtc].map((name) => name.replace(/\.$/, '.0'))
    writeFiles(home, Object.fromEntries(toolkit.map((name) => [`lib64/${name}`, ''])))
    writeFiles(site, Object.fromEntries(cudaLibraryFiles.cudnn.map((name) => [`nvidia/cudnn/lib/${name}`, ''])))
    writeFiles(site, { 'nvidia_cudnn_cu13-9.20.0.1.dist-info/METADATA': '' })
    const { found } = await status({ VGGNET_CACHE: newCache(), CUDA_HOME: home, PYTHONPATH: site })
    const [cudnn, ...others] = found.libraries
    for (const one of others)
      expect(one).toMatchObject({ from: 'CUDA_HOME', folder: path.join(home, 'lib64'), found: true })
    // a cuDNN of the system's own comes before, and python3 is not asked then
    const inPython = { version: '9.20.0.1', from: "python3's packages", folder: path.join(site, 'nvidia/cudnn/lib') }
    expect(cudnn).toMatchObject(['the system', '/usr/local/cuda'].includes(cudnn.from) ? { found: true } : inPython)
  })

  test('fails where a part is missing, and names it', async () => {
    const folders = cudaPins.map((part) => fakeLibraries(newFolder(), part, ['libcudnn_ops.so.9']))
    const named = { VGGNET_CUDA_LIBRARIES: folders.join(':') }
    const { code, found } = await status({ VGGNET_CACHE: newCache(), ...named, PATH: '' })
    const [cudnn] = found.libraries
    // a machine that has another cuDNN uses that one
    if (cudnn.folder === folders[0]) {
      expect(code).toBe(1)
      expect(cudnn).toMatchObject({ found: false, missing: ['libcudnn_ops.so.9'] })
    } else expect(found.passedOver.join()).toContain('libcudnn_ops.so.9 is missing')
  })
})

test('vggnet cuda remove deletes the libraries of install, in any version, and nothing else; processes that use them continue', async () => {
  const cache = newCache()
  const [cudnn] = cudaPins.map((part) => fakeLibraries(cache, part))
  const old = 'cublas-13.0.2.14-0123456789ab'
  const others = ['cudnn-frontend-1.32.0-3382c1f928e5', 'cudnn-mine', 'onednn-3.1.0-9cf5b6476b0b', 'plans']
  for (const name of [old, ...others]) mkdirSync(path.join(cache, name))
  const begun = fetchingFiles(cache, { file: pins.nvrtc.wheels[0]?.file ?? '' }).part
  const foreign = path.join(cache, '.fetching-onednn_cpu_gomp-2023.1.0-py3-none-any.whl')
  for (const file of [begun, foreign]) writeFileSync(file, 'x')
  const program = `
import mmap, sys
file = open(sys.argv[1], 'rb')
held = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
print('held', flush=True)
sys.stdin.read()
print(len(held[:]))`
  const holder = spawn('python3', ['-c', program, path.join(cudnn ?? '', 'libcudnn.so.9')])
  onTestFinished(() => {
    holder.kill('SIGKILL')
  })
  let said = ''
  holder.stdout.on('data', (text) => {
    said += text
  })
  await expect.poll(() => said, { timeout: 60_000 }).toBe('held\n')
  const { code, stdout } = await vggnet(['cuda', 'remove', '--json'], { VGGNET_CACHE: cache })
  const { removed, bytes, holders } = JSON.parse(stdout)
  expect(code).toBe(0)
  expect(bytes).toBe(10_001)
  expect(holders).toEqual([holder.pid])
  expect(removed.map(({ folder }: { folder: string }) => path.basename(folder)).sort()).toEqual(
    [...cudaPins.map((part) => path.basename(folderOf(cache, part, pins[part]))), old, path.basename(begun)].sort(),
  )
  expect(readdirSync(cache).sort()).toEqual([path.basename(foreign), ...others])
  holder.stdin.end()
  await expect.poll(() => said, { timeout: 60_000 }).toBe('held\n1000\n')
  expect((await vggnet(['cuda', 'remove'], { VGGNET_CACHE: cache })).stdout).toBe(
    `There are no NVIDIA libraries in ${cache}\n`,
  )
  expect(existsSync(cache)).toBe(true)
})
