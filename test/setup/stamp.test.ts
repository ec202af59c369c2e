import { rmSync, utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { hashOf, isCurrent, removeStamp, writeStamp } from '../../scripts/setup/stamp.mjs'
import { newFolder, writeFiles } from './folder.js'

let root: string

beforeEach(() => {
  root = newFolder()
  writeFiles(root, {
    'native/a.cpp': 'int a;',
    'native/deep/b.cpp': 'int b;',
    'CMakeLists.txt': 'x',
    product: 'binary',
  })
})

describe('the hash of the sources', () => {
  const hash = () => hashOf(root, ['native', 'CMakeLists.txt'])

  test('changes with a content, a name, a new and a removed file', () => {
    const seen = [hash()]
    writeFiles(root, { 'native/deep/b.cpp': 'int c;' })
    seen.push(hash())
    writeFiles(root, { 'native/deep/c.cpp': 'int c;' })
    seen.push(hash())
    rmSync(path.join(root, 'native/deep/b.cpp'))
    seen.push(hash())
    writeFiles(root, { 'CMakeLists.txt': 'y' })
    seen.push(hash())
    expect(new Set(seen).size).toBe(seen.length)
  })

  test('does not change with times, files beside the sources, and what editors leave', () => {
    const before = hash()
    utimesSync(path.join(root, 'native/a.cpp'), 1, 1)
    writeFiles(root, { 'README.md': 'x', 'native/.a.cpp.swp': 'x', 'native/a.cpp~': 'x' })
    expect(hash()).toBe(before)
  })

  test('tells a file that grew at the cost of its neighbour', () => {
    writeFiles(root, { 'native/a.cpp': 'ab', 'native/b.cpp': 'c' })
    const before = hash()
    writeFiles(root, { 'native/a.cpp': 'a', 'native/b.cpp': 'bc' })
    expect(hash()).not.toBe(before)
  })
})

describe('a stamp', () => {
  const current = (hash = 'h1') => isCurrent(path.join(root, '.stamp'), hash, [path.join(root, 'product')])
  const write = () => writeStamp(path.join(root, '.stamp'), 'h1', [path.join(root, 'product')])

  test('holds for the same hash and the same product', () => {
    expect(current()).toBe(false)
    write()
    expect(current()).toBe(true)
  })

  test('does not hold for another hash', () => {
    write()
    expect(current('h2')).toBe(false)
  })

  test('does not hold for a product that is gone, or was made by other means', () => {
    write()
    utimesSync(path.join(root, 'product'), 1, 1)
    expect(current()).toBe(false)
    write()
    writeFileSync(path.join(root, 'product'), 'another binary')
    expect(current()).toBe(false)
    write()
    rmSync(path.join(root, 'product'))
    expect(current()).toBe(false)
  })

  test('does not hold once it is removed', () => {
    write()
    removeStamp(path.join(root, '.stamp'))
    expect(current()).toBe(false)
  })
})
