import { describe, expect, it } from 'vitest'
import { cudaFolders, cudaLibrary, type Surroundings } from '../../lib/cuda-places.js'

const everywhere = ['/usr/local/cuda/lib64', '/usr/lib/x86_64-linux-gnu', '/usr/lib64']

/** Surroundings with these folders: path to names. Enough is there where a folder holds libcudnn.so.9. */
function around(folders: Record<string, string[]>, env: Surroundings['env'] = {}) {
  let asked = 0
  const surroundings: Surroundings = {
    env,
    cache: '/cache',
    list: (folder) => folders[folder] ?? [],
    suffice: (searched) => searched.some((folder) => folders[folder]?.includes('libcudnn.so.9')),
    python() {
      asked += 1
      return ['/python/nvidia/cudnn/lib']
    },
  }
  return { folders: cudaFolders(surroundings), asked }
}

describe("the folders searched for NVIDIA's libraries", () => {
  it('are those of the variable, the cache, CUDA_HOME, the loader and the system, in this order, each once', () => {
    const env = {
      VGGNET_CUDA_LIBRARIES: '/mine:/other::',
      CUDA_HOME: '/opt/cuda',
      CUDA_PATH: '/opt/cuda',
      LD_LIBRARY_PATH: '/module/lib:/usr/lib64',
    }
    const { folders } = around({ '/cache': ['cudnn-1'], '/cache/cudnn-1/lib': ['libcudnn.so.9'] }, env)
    expect(folders).toEqual([
      '/mine',
      '/other',
      '/cache/cudnn-1/lib',
      '/opt/cuda/lib64',
      '/usr/local/cuda/lib64',
      '/module/lib',
      '/usr/lib64',
      '/usr/lib/x86_64-linux-gnu',
    ])
  })

  it('are, of the cache, those with such a library, the newest first, none that is unfinished', () => {
    const { folders } = around({
      '/cache': ['.unfinished-a', 'cublas-13.1', 'cudnn-9.9.1', 'cudnn-9.19.0', 'empty', 'nvrtc-13.0', 'onednn-3.1.0'],
      '/cache/.unfinished-a/lib': ['libcudnn.so.9'],
      '/cache/cublas-13.1/lib': ['libcublasLt.so.13'],
      '/cache/cudnn-9.9.1/lib': ['libcudnn_graph.so.9'],
      '/cache/cudnn-9.19.0/lib': ['libcudnn_graph.so.9', 'libcudnn.so.9'],
      '/cache/nvrtc-13.0/lib': ['libnvrtc.so.13'],
      '/cache/onednn-3.1.0/lib': ['libdnnl.so.3'],
    })
    const cached = ['nvrtc-13.0', 'cudnn-9.19.0', 'cudnn-9.9.1', 'cublas-13.1'].map((name) => `/cache/${name}/lib`)
    expect(folders).toEqual([...cached, ...everywhere])
  })

  it('are asked of python3 only where the others do not suffice', () => {
    expect(around({})).toEqual({ folders: [...everywhere, '/python/nvidia/cudnn/lib'], asked: 1 })
    expect(around({ '/usr/lib64': ['libcudnn.so.9'] })).toEqual({ folders: everywhere, asked: 0 })
  })
})

describe('the CUDA library', () => {
  const installed = { root: '/vggnet', checkout: true, binary: '/vggnet/build/Release/vggnet.node' }
  const beside = '/vggnet/build/Release/libvggnet_cuda.so'
  const built = '/vggnet/build-cuda/Release/libvggnet_cuda.so'
  const found = (env: Surroundings['env'], ...files: string[]) =>
    cudaLibrary(installed, env, (file) => files.includes(file)).library

  it('is the one named, else the one beside the addon, else the one built', () => {
    expect(found({ VGGNET_CUDA_BINARY: '/mine.so' }, '/mine.so', beside, built)).toBe('/mine.so')
    expect(found({}, beside, built)).toBe(beside)
    expect(found({}, built)).toBe(built)
  })

  it('is no other than the one named', () => {
    expect(found({ VGGNET_CUDA_BINARY: '/mine.so' }, beside, built)).toBe('')
    expect(cudaLibrary(installed, { VGGNET_CUDA_BINARY: '/mine.so' }, () => false).noLibrary).toBe(
      'there is no file /mine.so, which VGGNET_CUDA_BINARY names',
    )
  })

  it('where there is none says what to do in a checkout and in a package', () => {
    const said = (checkout: boolean) => cudaLibrary({ ...installed, checkout }, {}, () => false).noLibrary
    expect(said(true)).toBe('this checkout has no CUDA library (libvggnet_cuda.so): `npm run build:cuda` builds it')
    expect(said(false)).toBe(
      'this installation has no CUDA library (libvggnet_cuda.so): `npm run build:cuda` in a checkout of vggnet builds ' +
        'it, and VGGNET_CUDA_BINARY names it',
    )
  })
})
