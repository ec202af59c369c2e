import { mkdirSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { libraryVersion, type Surroundings, searchForCuda, unfitCudnn } from '../../lib/platform/cuda/folders.js'
import { newFolder, writeFiles } from '../setup/folder.js'

const everywhere = ['/usr/local/cuda/lib64', '/usr/lib/x86_64-linux-gnu', '/usr/lib64']

/** Surroundings with these folders: path to names. Enough is there where a folder holds libcudnn.so.9. */
function around(folders: Record<string, string[]>, env: Surroundings['env'] = {}, unfit: string[] = []) {
  let asked = 0
  const surroundings: Surroundings = {
    env,
    cached: () => ({ folders: folders['/cache'] ?? [], passedOver: [] }),
    list: (folder) => folders[folder] ?? [],
    suffice: (searched) => searched.some((folder) => folders[folder]?.includes('libcudnn.so.9')),
    unfit: (folder) => (unfit.includes(folder) ? `${folder} is not fit` : ''),
    python() {
      asked += 1
      return ['/python/nvidia/cudnn/lib']
    },
  }
  const { searched, passedOver } = searchForCuda(surroundings)
  return { searched, passedOver, asked, folders: searched.map(({ folder }) => folder) }
}

describe("the folders searched for NVIDIA's libraries", () => {
  it('are those of the variable, the cache, the toolkits, the loader and the system, in this order, each once', () => {
    const env = {
      VGGNET_CUDA_LIBRARIES: '/mine:/other::',
      CUDA_HOME: '/opt/cuda-13',
      CUDA_PATH: '/opt/path',
      LD_LIBRARY_PATH: '/module/lib:/usr/lib64:/mine',
    }
    const { searched } = around({ '/cache': ['/cache/cudnn-1/lib'], '/cache/cudnn-1/lib': ['libcudnn.so.9'] }, env)
    expect(searched).toEqual([
      { folder: '/mine', from: 'VGGNET_CUDA_LIBRARIES' },
      { folder: '/other', from: 'VGGNET_CUDA_LIBRARIES' },
      { folder: '/cache/cudnn-1/lib', from: "vggnet's cache" },
      { folder: '/opt/cuda-13/lib64', from: 'CUDA_HOME' },
      { folder: '/opt/path/lib64', from: 'CUDA_PATH' },
      { folder: '/usr/local/cuda/lib64', from: '/usr/local/cuda' },
      { folder: '/module/lib', from: 'LD_LIBRARY_PATH' },
      { folder: '/usr/lib64', from: 'LD_LIBRARY_PATH' },
      { folder: '/usr/lib/x86_64-linux-gnu', from: 'the system' },
    ])
  })

  it("are, of a toolkit and the system, also others that hold such libraries: conda's lib, Arch's /opt/cuda", () => {
    const held = {
      '/conda/lib': ['libcublasLt.so.13'],
      '/conda/targets/x86_64-linux/lib': ['libnvrtc.so.13'],
      '/opt/cuda/lib64': ['libcublasLt.so.13'],
      '/usr/lib': ['libcudnn_graph.so.9'],
      '/usr/local/lib': ['libjpeg.so.62'],
    }
    const { folders } = around(held, { CUDA_HOME: '/conda' })
    const toolkit = ['/conda/lib64', '/conda/lib', '/conda/targets/x86_64-linux/lib']
    expect(folders.slice(0, -1)).toEqual([...toolkit, ...everywhere, '/usr/lib', '/opt/cuda/lib64'])
  })

  it('are asked of python3 only where the others do not suffice', () => {
    expect(around({})).toMatchObject({ folders: [...everywhere, '/python/nvidia/cudnn/lib'], asked: 1 })
    expect(around({ '/usr/lib64': ['libcudnn.so.9'] })).toMatchObject({ folders: everywhere, asked: 0 })
  })

  it('are none with a cuDNN that cannot serve, and the reason is kept', () => {
    const held = { '/usr/lib64': ['libcudnn.so.9'], '/python/nvidia/cudnn/lib': ['libcudnn.so.9'] }
    expect(around(held, {}, ['/usr/lib64'])).toMatchObject({
      folders: ['/usr/local/cuda/lib64', '/usr/lib/x86_64-linux-gnu', '/python/nvidia/cudnn/lib'],
      passedOver: ['/usr/lib64 is not fit'],
      asked: 1,
    })
  })
})

const engines = (cublas: string) => `${'x'.repeat((1 << 20) - 8)}${cublas}\0${'x'.repeat(1 << 20)}`

describe('a cuDNN', () => {
  const folderOf = (files: Record<string, string>): string => {
    const home = newFolder()
    writeFiles(home, { 'lib/libcudnn.so.9': '', ...files })
    return path.join(home, 'lib')
  }
  const header = (major: number, minor: number) => ({
    'include/cudnn_version.h': `#define CUDNN_MAJOR ${major}\n#define CUDNN_MINOR ${minor}\n#define CUDNN_PATCHLEVEL 2\n`,
  })
  const file = 'lib/libcudnn_engines_precompiled.so.9'

  it('serves where nothing speaks against it', () => {
    expect(unfitCudnn(folderOf({}))).toBe('')
    expect(unfitCudnn(folderOf({ ...header(9, 8), [file]: engines('libcublasLt.so.13') }))).toBe('')
  })

  it('that is for CUDA 12, or too old, does not, and is named', () => {
    const [foreign, old] = [folderOf({ [file]: engines('libcublasLt.so.12') }), folderOf(header(9, 7))]
    expect(unfitCudnn(foreign)).toBe(`cuDNN in ${foreign} is for CUDA 12, but CUDA 13 is needed`)
    expect(unfitCudnn(old)).toBe(`cuDNN 9.7.2 in ${old} is too old: 9.8 or later is needed`)
  })
})

describe('the version of a library', () => {
  it('is what its file, the cache, a distribution of Python or the header says, or unknown', () => {
    const root = newFolder()
    writeFiles(root, {
      'system/libcudnn.so.9.8.0': '',
      'cublas-13.1.0.3-261eea9e7025/lib/libcublasLt.so.13': '',
      'site/nvidia/cu13/lib/libnvrtc.so.13': '',
      'site/nvidia/cu13/lib/libcublasLt.so.13': '',
      'site/nvidia_cuda_nvrtc-13.0.88.dist-info/METADATA': '',
      'site/nvidia_cublas-13.0.2.14.dist-info/METADATA': '',
      'site/nvidia/cudnn/lib/libcudnn.so.9': '',
      'site/nvidia_cudnn_cu13-9.19.0.56.dist-info/METADATA': '',
      'bare/lib/libcudnn.so.9': '',
    })
    mkdirSync(path.join(root, 'links'))
    symlinkSync('../system/libcudnn.so.9.8.0', path.join(root, 'links/libcudnn.so.9'))
    const version = (part: 'cudnn' | 'cublas' | 'nvrtc', name: string) => libraryVersion(part, path.join(root, name))
    expect(version('cudnn', 'links/libcudnn.so.9')).toBe('9.8.0')
    expect(version('cublas', 'cublas-13.1.0.3-261eea9e7025/lib/libcublasLt.so.13')).toBe('13.1.0.3')
    expect(version('nvrtc', 'site/nvidia/cu13/lib/libnvrtc.so.13')).toBe('13.0.88')
    expect(version('cublas', 'site/nvidia/cu13/lib/libcublasLt.so.13')).toBe('13.0.2.14')
    expect(version('cudnn', 'site/nvidia/cudnn/lib/libcudnn.so.9')).toBe('9.19.0.56')
    expect(version('cudnn', 'bare/lib/libcudnn.so.9')).toBe('')
  })
})
