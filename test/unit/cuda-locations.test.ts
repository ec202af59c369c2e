import { describe, expect, it } from 'vitest'
import type { Surroundings } from '../../lib/platform/cuda/folders.js'
import { cudaLibrary, filesCure } from '../../lib/platform/cuda/locations.js'

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

it('where a library is missing, the cure is the same command everywhere, and what was not used is said', () => {
  const cure = '`npx vggnet cuda install` fetches it, or VGGNET_CUDA_LIBRARIES=FOLDER:FOLDER names where it lies'
  expect(filesCure({ passedOver: [] })).toBe(cure)
  expect(filesCure({ passedOver: ['cuDNN in /a is old', 'b'] })).toBe(
    `not used: cuDNN in /a is old; not used: b; ${cure}`,
  )
})
