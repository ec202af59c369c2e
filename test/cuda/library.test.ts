import { execFileSync } from 'node:child_process'
import path from 'node:path'
import { expect, test } from 'vitest'
import { root } from '../setup/command.js'

const library = path.join(root, 'build-cuda/Release/libvggnet_cuda.so')
const dynamic = execFileSync('readelf', ['--dynamic', '--wide', library], { encoding: 'utf8' })
const entries = (name: string) =>
  [...dynamic.matchAll(new RegExp(`\\(${name}\\).*\\[(.*)\\]`, 'g'))].map(([, value]) => value)

test('the library exports one name', () => {
  const symbols = execFileSync('nm', ['--dynamic', '--defined-only', '--format=posix', library], { encoding: 'utf8' })
  expect(symbols.trim().split('\n')).toEqual([expect.stringMatching(/^vggnet_cuda T /)])
})

test('it needs cuDNN and cuBLASLt by their sonames, looks beside itself, and needs no driver and no CUDA runtime', () => {
  const everywhere = /^(libstdc\+\+|libm|libgcc_s|libc|libdl|librt|libpthread|ld-linux-x86-64)\.so\.\d+$/
  expect(
    entries('NEEDED')
      .filter((name) => !everywhere.test(name))
      .sort(),
  ).toEqual(['libcublasLt.so.13', 'libcudnn.so.9'])
  expect([...entries('RUNPATH'), ...entries('RPATH')]).toEqual(['$ORIGIN'])
})

test('it stays loaded to the end of the process', () => {
  expect(dynamic).toMatch(/\(FLAGS_1\).*NODELETE/)
})
