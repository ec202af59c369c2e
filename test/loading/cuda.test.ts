import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Examination } from '../../lib/cli/doctor/examination.js'
import { native } from '../../lib/platform/native.js'
import { start, vggnet } from '../setup/command.js'
import type { Outcome } from './cuda/attempts.js'
import { abortingLibrary, cudaLibrary, cudnnParts, driverFolder, emptyLibrary, nvidiaFiles } from './cuda/stand-ins.js'

let folder = ''
const at = (...names: string[]): string => path.join(folder, ...names)
const { buildId } = native().buildInfo()

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'vggnet-loading-'))
  mkdirSync(at('nothing'))
  driverFolder(at('old'), { version: 12020, cards: 1 })
  driverFolder(at('no-card'), { version: 13000, cards: 0, status: 100 })
  driverFolder(at('stub'), { version: 13000, cards: 0, status: 34 })
  driverFolder(at('broken'), { version: 13000, cards: 1, status: 999 })
  driverFolder(at('card'), { version: 13000, cards: 1 })
  driverFolder(at('cards'), { version: 13010, cards: 3 })
  for (const name of nvidiaFiles) emptyLibrary(at('nvidia', name))
  cudaLibrary(at('this', 'libvggnet_cuda.so'), buildId, 'INTERNAL')
  cudaLibrary(at('unfit', 'libvggnet_cuda.so'), buildId, 'DEVICE_UNAVAILABLE')
  cudaLibrary(at('full', 'libvggnet_cuda.so'), buildId, 'OUT_OF_MEMORY')
  cudaLibrary(at('other', 'libvggnet_cuda.so'), 'fedcba9876543210', 'INTERNAL')
  emptyLibrary(at('empty', 'libvggnet_cuda.so'))
  abortingLibrary(at('aborting', 'libvggnet_cuda.so'))
  writeFileSync(at('text.so'), 'no library\n')
})
afterAll(() => rmSync(folder, { recursive: true }))

interface Fingerprint {
  /** The folder of a stand-in driver. */
  driver?: string
  /** The folder of a stand-in of libvggnet_cuda.so; default: there is none. */
  library?: string
  env?: NodeJS.ProcessEnv
}

/** The environment of a process that finds stand-ins only. */
function environmentOf({ driver, library = 'nothing', env = {} }: Fingerprint): NodeJS.ProcessEnv {
  return {
    VGGNET_CACHE: at('nothing'),
    CUDA_HOME: at('nothing'),
    LD_LIBRARY_PATH: driver && at(driver),
    VGGNET_CUDA_BINARY: at(library, 'libvggnet_cuda.so'),
    VGGNET_CUDA_LIBRARIES: at('nvidia'),
    CUDA_VISIBLE_DEVICES: undefined,
    ...env,
  }
}

/** What comes of opening devices in a process of its own, which has to outlive it. */
async function outcomes(words: string[], conditions: Fingerprint): Promise<Outcome[]> {
  const environment = environmentOf(conditions)
  const { code, stdout, stderr } = await start('test/loading/cuda/attempts.ts', words, environment).ended
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return JSON.parse(stdout)
}

const unavailable = (reason: string, device = 'cuda'): Outcome => [
  'DEVICE_UNAVAILABLE',
  `device '${device}' is not available: ${reason}`,
]

describe('the driver', () => {
  const invisible = 'no CUDA device is visible: '

  test.each<[string, string, NodeJS.ProcessEnv, string]>([
    ['too old', 'old', {}, 'the driver supports CUDA 12.2, this build needs 13.0: update to R580 or later'],
    ['without a card', 'no-card', {}, `${invisible}there is a driver but no card (a container needs --gpus all)`],
    [
      'with every card hidden',
      'no-card',
      { CUDA_VISIBLE_DEVICES: '' },
      `${invisible}CUDA_VISIBLE_DEVICES is set and empty, which hides every card`,
    ],
    ['with others visible', 'no-card', { CUDA_VISIBLE_DEVICES: '7' }, `${invisible}CUDA_VISIBLE_DEVICES is '7'`],
    [
      'a stub',
      'stub',
      {},
      'libcuda.so.1 is the stub of a CUDA toolkit, not a driver: take its folder off LD_LIBRARY_PATH',
    ],
    [
      'that fails',
      'broken',
      {},
      'the NVIDIA driver does not work: cuInit gives CUDA_ERROR_OF_THE_STAND_IN (999); nvidia-smi may say more',
    ],
  ])('%s: cuda says so, auto takes the cpu and says why', async (_, driver, env, reason) => {
    const found = await outcomes(['--open', 'cuda', '--open', 'auto'], { driver, env })
    expect(found).toEqual([unavailable(reason), ['cpu', reason]])
  })

  const installed = native().cudaReport().driver.path !== ''
  test.skipIf(installed)('absent', async () => {
    const reason = 'no NVIDIA driver was found (libcuda.so.1); R580 or later is needed'
    const found = await outcomes(['--open', 'cuda', '--open', 'auto', '--open', 'cuda:3'], {})
    expect(found).toEqual([unavailable(reason), ['cpu', reason], unavailable(reason, 'cuda:3')])
  })

  test('absent or without a GPU: planning works', async () => {
    const found = await outcomes(['--plan', 'cuda', '--plan', 'auto'], { driver: 'no-card', library: 'this' })
    expect(found).toEqual([
      ['INTERNAL', 'no planner, table given 1 time'],
      ['cpu', ''],
    ])
  })

  test('a precision that only a GPU supports is an error on the CPU', async () => {
    const [found] = await outcomes(['--open', 'auto', '--precision', 'bf16'], { driver: 'old' })
    expect(found).toEqual([
      'DEVICE_UNAVAILABLE',
      "precision 'bf16' needs a CUDA card, and device 'auto' finds none: the driver supports CUDA 12.2, " +
        'this build needs 13.0: update to R580 or later',
    ])
  })

  test('the error for a missing GPU lists the present ones', async () => {
    const [one] = await outcomes(['--open', 'cuda:1'], { driver: 'card', library: 'this' })
    const [three] = await outcomes(['--open', 'cuda:3'], { driver: 'cards', library: 'this' })
    expect(one).toEqual(unavailable("this process sees 1 card, 'cuda:0'", 'cuda:1'))
    expect(three).toEqual(unavailable("this process sees 3 cards, 'cuda:0' to 'cuda:2'", 'cuda:3'))
  })
})

describe('the CUDA library', () => {
  test('absent', async () => {
    const reason = `there is no file ${at('nothing', 'libvggnet_cuda.so')}, which VGGNET_CUDA_BINARY names`
    const found = await outcomes(['--open', 'cuda', '--open', 'auto', '--plan', 'cuda'], { driver: 'card' })
    expect(found).toEqual([unavailable(reason), ['cpu', reason], unavailable(reason)])
  })

  test('of another build', async () => {
    const reason =
      `${at('other', 'libvggnet_cuda.so')} is of build fedcba9876543210 and this addon of build ${buildId}, which do ` +
      'not fit together: `npm run build:native && npm run build:cuda` builds both again'
    const found = await outcomes(['--open', 'cuda', '--open', 'auto'], { driver: 'card', library: 'other' })
    expect(found).toEqual([unavailable(reason), ['cpu', reason]])
  })

  test('something else', async () => {
    const [found] = await outcomes(['--open', 'cuda'], { driver: 'card', library: 'empty' })
    const reason = `${at('empty', 'libvggnet_cuda.so')} is no CUDA library of vggnet: it has no vggnet_cuda`
    expect(found).toEqual(unavailable(reason))
    const env = { VGGNET_CUDA_BINARY: at('text.so') }
    const [text] = await outcomes(['--open', 'cuda'], { driver: 'card', env })
    expect(text).toEqual(unavailable(`the CUDA library does not load: ${at('text.so')}: file too short`))
  })

  test('is opened once by several networks', async () => {
    const four = Array.from({ length: 4 }, () => ['--open', 'cuda']).flat()
    const found = await outcomes([...four, '--together'], { driver: 'card', library: 'this' })
    expect(found).toEqual(Array.from({ length: 4 }, () => ['INTERNAL', 'no backend, table given 1 time']))
  })

  test('is opened once for two worker threads and the main thread', async () => {
    const found = await outcomes(['--workers'], { driver: 'card', library: 'this' })
    expect(found).toEqual(Array.from({ length: 3 }, () => ['INTERNAL', 'no backend, table given 1 time']))
  })

  test('that was missing is found when it has been built', async () => {
    mkdirSync(at('later'))
    const file = 'libvggnet_cuda.so'
    const words = ['--open', 'cuda', '--copy', at('this', file), '--copy', at('later', file)]
    const found = await outcomes(words, { driver: 'card', library: 'later' })
    expect(found).toEqual([
      unavailable(`there is no file ${at('later', file)}, which VGGNET_CUDA_BINARY names`),
      ['INTERNAL', 'no backend, table given 1 time'],
    ])
  })

  test('throws its own errors: auto falls back to the CPU only if the device cannot be used', async () => {
    const devices = ['--open', 'cuda', '--open', 'auto']
    const reason = 'no backend, table given 1 time'
    const unfit = await outcomes(devices, { driver: 'card', library: 'unfit' })
    expect(unfit).toEqual([unavailable(reason), ['cpu', reason]])
    const full = await outcomes(devices, { driver: 'card', library: 'full' })
    expect(full).toEqual([
      ['OUT_OF_MEMORY', reason],
      ['OUT_OF_MEMORY', reason],
    ])
  })
})

describe("NVIDIA's libraries", () => {
  const openIn = async (...folders: string[]): Promise<Outcome | undefined> => {
    const words = ['--folders', folders.join(':'), '--library', at('this', 'libvggnet_cuda.so')]
    return (await outcomes(words, { driver: 'card' }))[0]
  }
  function folderWith(name: string, files: readonly string[]): string {
    mkdirSync(at(name))
    for (const file of files) copyFileSync(at('nvidia', file), at(name, file))
    return at(name)
  }
  const arrived: Outcome = ['INTERNAL', 'no backend, table given 1 time']

  test('none at all', async () => {
    const reason = `libcublasLt.so.13 (cuBLASLt 13) was not found; searched ${at('nothing')}; the cure`
    expect(await openIn(at('nothing'))).toEqual(unavailable(reason))
  })

  test('no cuDNN', async () => {
    const cublas = folderWith('cublas-only', ['libcublasLt.so.13'])
    const reason = `cuDNN 9 was not found (libcudnn.so.9 and its parts); searched ${cublas}; the cure`
    expect(await openIn(cublas)).toEqual(unavailable(reason))
  })

  test.each([...cudnnParts, 'libcudnn.so.9'])('no %s: reported before cuDNN could end the process', async (missing) => {
    const partial = folderWith(
      `without-${missing}`,
      nvidiaFiles.filter((name) => name !== missing),
    )
    const reason = `cuDNN in ${partial} is not complete: ${missing} is missing, and its parts must lie in one folder`
    expect(await openIn(partial, at('nothing'))).toEqual(
      unavailable(`${reason}; searched ${partial}, ${at('nothing')}; the cure`),
    )
  })

  test('the parts of cuDNN come from one folder; a complete folder is preferred', async () => {
    const first = folderWith('first-half', nvidiaFiles.slice(0, 4))
    const second = folderWith('second-half', nvidiaFiles.slice(4))
    const [code, message] = (await openIn(first, second)) ?? []
    expect([code, message]).toEqual([
      'DEVICE_UNAVAILABLE',
      expect.stringContaining(`cuDNN in ${first} is not complete`),
    ])
    expect(await openIn(first, second, at('nvidia'))).toEqual(arrived)
  })

  test('a damaged one', async () => {
    const damaged = folderWith('damaged', nvidiaFiles)
    writeFileSync(path.join(damaged, 'libcudnn_ops.so.9'), 'no library\n')
    const reason = `a library of CUDA does not load: ${damaged}/libcudnn_ops.so.9: file too short`
    expect(await openIn(damaged)).toEqual(unavailable(reason))
  })

  test('in the packages of python3, which are searched last', async () => {
    mkdirSync(at('bin'))
    mkdirSync(at('site', 'nvidia', 'cudnn'), { recursive: true })
    symlinkSync(at('nvidia'), at('site', 'nvidia', 'cudnn', 'lib'))
    writeFileSync(at('bin', 'python3'), `#!/bin/sh\necho '${at('site')}'\n`)
    chmodSync(at('bin', 'python3'), 0o755)
    const env = { VGGNET_CUDA_LIBRARIES: undefined, PATH: `${at('bin')}:${process.env.PATH}` }
    const [found] = await outcomes(['--open', 'cuda'], { driver: 'card', library: 'this', env })
    expect(found).toEqual(arrived)
  })
})

describe('vggnet doctor', () => {
  async function examined(conditions: Fingerprint): Promise<{ code: number | undefined; found: Examination }> {
    const { code, stdout, stderr } = await vggnet(['doctor', '--json'], environmentOf(conditions))
    expect(stderr).toBe('')
    return { code, found: JSON.parse(stdout) }
  }

  test('reports driver, libraries and each GPU, and fails if a GPU does not compute', async () => {
    const { code, found } = await examined({ driver: 'card', library: 'unfit' })
    expect(code).toBe(1)
    expect(found.cuda?.driver).toEqual({ path: at('card', 'libcuda.so.1'), version: '13.0', cards: 1, obstacle: '' })
    const library = { path: at('unfit', 'libvggnet_cuda.so'), buildId, versions: 'CUDA of a stand-in', obstacle: '' }
    expect(found.cuda?.library).toEqual(library)
    const needed = found.cuda?.files.filter((file) => file.needed).map((file) => file.path)
    expect(needed).toEqual(nvidiaFiles.map((name) => at('nvidia', name)))
    expect(found.devices.map(({ device, works }) => [device, works])).toEqual([
      ['cpu', true],
      ['cuda:0', false],
    ])
    expect(found.devices[1]).toMatchObject({
      name: 'Stand-in',
      architecture: 'sm_90',
      bytes: 2 ** 30,
      freeBytes: 2 ** 29,
    })
    expect(found.devices[1]?.obstacle).toBe("device 'cuda:0' is not available: no backend, table given 1 time")
  })

  test('survives a library that ends its process, and reports its output', async () => {
    const { code, found } = await examined({ driver: 'card', library: 'aborting' })
    const obstacle = 'the process that opened CUDA ended by SIGABRT: Invalid handle. Cannot load symbol cudnnCreate'
    expect(code).toBe(1)
    expect(found.devices.map((trial) => trial.obstacle)).toEqual(['', obstacle])
  })
})
