import { copyFileSync, readFileSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { manifestHolds, readManifest, sha256Of, writeManifest } from '../../scripts/setup/manifest.mjs'
import { builds, productsOf } from '../../scripts/setup/native.mjs'
import { root } from './command.js'
import { newFolder } from './folder.js'

const names = ['libgomp.so.1', 'libturbojpeg.so.0', 'vggnet.node']
const build = { version: '1.2.3', buildId: '0123456789abcdef', compiler: 'g++ 12' }

let folder: string
const inFolder = (name: string) => path.join(folder, name)

beforeEach(async () => {
  folder = newFolder()
  for (const product of productsOf(root, builds.release).filter((file) => names.includes(path.basename(file)))) {
    copyFileSync(product, inFolder(path.basename(product)))
  }
  await writeManifest(folder, build)
})

describe('manifest.json', () => {
  test('says which build it is, what it needs, and each file with size and hash', () => {
    const manifest = readManifest(folder)
    expect(manifest).toMatchObject({ format: 1, ...build })
    expect(Object.keys(manifest.needs)).toEqual(['GLIBC', 'GLIBCXX', 'CXXABI', 'GCC'])
    expect(Object.keys(manifest.files)).toEqual(names)
    for (const name of names) {
      const { size: bytes } = statSync(inFolder(name))
      expect(manifest.files[name]).toEqual({ bytes, sha256: sha256Of(inFolder(name)) })
    }
    expect(manifestHolds(folder)).toBe(true)
  })

  // Size alone, and times, tell nothing here.
  const sameTimes = (name: string, change: (file: string) => void) => {
    const { atime, mtime } = statSync(inFolder(name))
    change(inFolder(name))
    utimesSync(inFolder(name), atime, mtime)
  }
  const flipByte = (file: string) => {
    const bytes = readFileSync(file)
    bytes[bytes.length >> 1] ^= 1
    writeFileSync(file, bytes)
  }

  test.each<[string, () => void]>([
    ['a library is half there', () => sameTimes('libgomp.so.1', (file) => truncateSync(file, 100_000))],
    ['a byte is another one', () => sameTimes('vggnet.node', flipByte)],
    ['a library is lost', () => rmSync(inFolder('libgomp.so.1'))],
    ['a stranger is there', () => writeFileSync(inFolder('aaa.node'), '')],
    ['it is half there itself', () => truncateSync(inFolder('manifest.json'), 100)],
    ['it is lost itself', () => rmSync(inFolder('manifest.json'))],
  ])('does not hold where %s', (_, harm) => {
    harm()
    expect(manifestHolds(folder)).toBe(false)
  })
})
