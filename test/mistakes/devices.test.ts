import { onTestFinished } from 'vitest'
import { describe, layersOf, VGG } from '../../lib/index.js'
import { native } from '../../lib/platform/native.js'
import { commandMistakes, programMistakes } from './mistake.js'

const small = { variant: 'A', classes: 2, imageSize: 32, width: 0.125, headWidth: 32 } as const
const open = (device: string) => () => VGG.create({ ...small, device: device as never })
const plan = (device: string) => () =>
  describe({ layers: layersOf(small), shape: [1, 3, 32, 32], device: device as never })

const known = 'one of auto, cpu, cuda, cuda:0'

programMistakes('devices', [
  ...(
    [
      ['gpu', "'cuda'"],
      ['GPU:1', "'cuda:1'"],
      ['cuda0', "'cuda:0'"],
    ] as const
  ).map(([device, meant]) => ({
    name: `a GPU by another name, ${device}`,
    make: open(device),
    code: 'INVALID_ARGUMENT' as const,
    problem: ['device', `'${device}'`],
    cure: [known, `an NVIDIA GPU is ${meant}`],
  })),
  {
    name: "'gpu' where a network is only described",
    make: plan('gpu'),
    code: 'INVALID_ARGUMENT',
    problem: ['device', "'gpu'"],
    cure: [known, "an NVIDIA GPU is 'cuda'"],
  },
  {
    name: 'a device of another framework',
    make: open('mps'),
    code: 'INVALID_ARGUMENT',
    problem: ['device', "'mps'"],
    cure: [known],
  },
])

const cure = ['`npx vggnet doctor`', "device: 'cpu' (--device cpu)"]
const noDriver = 'no NVIDIA driver was found (libcuda.so.1); R580 or later is needed'
const noLibrary = 'there is no file /nowhere/libvggnet_cuda.so'

/** As without the CUDA library. */
const withoutLibrary = (make: () => unknown) => () => {
  process.env.VGGNET_CUDA_BINARY = '/nowhere/libvggnet_cuda.so'
  onTestFinished(() => {
    delete process.env.VGGNET_CUDA_BINARY
  })
  return make()
}

programMistakes('a GPU that cannot be used', [
  ...(native().cudaReport().driver.path === '' ? (['cuda', 'cuda:1'] as const) : []).map((device) => ({
    name: `${device} without driver and CUDA library`,
    make: withoutLibrary(open(device)),
    code: 'DEVICE_UNAVAILABLE' as const,
    problem: [`device '${device}' is not available`, noDriver, noLibrary],
    cure,
  })),
  {
    name: 'planning for cuda without the CUDA library',
    make: withoutLibrary(plan('cuda')),
    code: 'DEVICE_UNAVAILABLE',
    problem: ["device 'cuda' is not available", noLibrary],
    cure,
  },
])

commandMistakes('devices on the command line', [
  {
    name: '--device gpu',
    words: ['describe', '--device', 'gpu'],
    status: 2,
    code: 'INVALID_ARGUMENT',
    problem: ['device', "'gpu'"],
    cure: [known, "an NVIDIA GPU is 'cuda'"],
  },
])
