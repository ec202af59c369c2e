import { readdirSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { native } from '../../lib/platform/native.js'
import type { Outcome } from '../loading/cuda/attempts.js'
import { root, start } from '../setup/command.js'

// The library as it was built, with NVIDIA's own libraries.
const env = { VGGNET_CUDA_BINARY: path.join(root, 'build-cuda/Release/libvggnet_cuda.so') }
const hasDriver = native().cudaReport().driver.path !== ''

test('the folders that npm run test:cuda found are named', () => {
  const folders = (process.env.VGGNET_CUDA_LIBRARIES ?? '').split(path.delimiter)
  const files = folders.flatMap((folder) => readdirSync(folder))
  expect(files).toEqual(expect.arrayContaining(['libcudnn.so.9', 'libcublasLt.so.13', 'libnvrtc.so.13']))
})

// In a separate process: cuDNN ends the process where it misses something.
test.skipIf(hasDriver)(
  'without a driver the library loads and plans; opening it is refused with the reason',
  async () => {
    const words = ['--plan', 'cuda', '--open', 'cuda', '--open', 'auto']
    const { code, stdout, stderr } = await start('test/loading/cuda/attempts.ts', words, env).ended
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const outcomes: Outcome[] = JSON.parse(stdout)
    const reason = 'no NVIDIA driver was found (libcuda.so.1); R580 or later is needed'
    expect(outcomes).toEqual([
      ['DEVICE_UNAVAILABLE', `device 'cuda' is not available: ${reason}`],
      ['cpu', reason],
      ['cuda', ''],
    ])
  },
)
