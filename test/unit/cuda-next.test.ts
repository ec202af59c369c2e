import { describe, expect, test } from 'vitest'
import { nextStep } from '../../lib/platform/cuda/status.js'

const complete = {
  ready: true,
  bytesBegun: 0,
  cudaLibrary: { obstacle: '' },
  driver: { version: '13.0', obstacle: '' },
}
const noLibrary = { obstacle: 'this checkout has no CUDA library: `npm run build:cuda` builds it' }
const noDriver = { version: '', obstacle: 'no NVIDIA driver was found (libcuda.so.1); R580 or later is needed' }
const oldDriver = { version: '12.2', obstacle: 'the driver supports CUDA 12.2: update to R580 or later' }

describe('the next step for a GPU', () => {
  test.each([
    ['with everything', {}, /^`npx vggnet doctor` checks the cards$/],
    ["without NVIDIA's libraries", { ready: false }, /^`npx vggnet cuda install` fetches the missing/],
    ['with a part of them', { ready: false, bytesBegun: 1 }, /^`npx vggnet cuda install` continues fetching/],
    ['with an old driver', { driver: oldDriver }, /^the driver supports CUDA 12.2: update to R580 or later\. /],
  ])('%s', (_, facts, words) => {
    expect(nextStep({ ...complete, ...facts })).toMatch(words)
  })

  test.each([
    ['driver', { driver: noDriver }],
    ['CUDA library', { cudaLibrary: noLibrary }],
    ['driver and CUDA library', { driver: noDriver, cudaLibrary: noLibrary }],
  ])('without %s it is not the installation of libraries, which could not help', (_, facts) => {
    const next = nextStep({ ...complete, ready: false, ...facts })
    expect(next).not.toContain('cuda install')
    expect(next.includes('R580 or later')).toBe('driver' in facts)
    expect(next.includes('`npm run build:cuda`')).toBe('cudaLibrary' in facts)
    expect(next).toContain('--device cpu')
  })
})
