import { readFileSync } from 'node:fs'
import { beforeEach, expect, test } from 'vitest'
import { packagesAreCurrent } from '../../scripts/setup/packages.mjs'
import { newFolder, writeFiles } from './folder.js'

const wanted = {
  '': { name: 'x' },
  'node_modules/a': { version: '1.0.0', integrity: 'sha512-a' },
  'node_modules/a-win32': { version: '1.0.0', integrity: 'sha512-w', optional: true },
}
let root: string

beforeEach(() => {
  root = newFolder()
})

function write(installed: Record<string, { version: string; integrity: string }>): void {
  writeFiles(root, {
    'package-lock.json': JSON.stringify({ packages: wanted }),
    'node_modules/.package-lock.json': JSON.stringify({ packages: installed }),
  })
}

test('packages are current when all but those for other platforms are installed', () => {
  write({ 'node_modules/a': { version: '1.0.0', integrity: 'sha512-a' } })
  expect(packagesAreCurrent(root)).toBe(true)
})

test('packages are not current when one is missing, has another version, or nothing is installed', () => {
  expect(packagesAreCurrent(root)).toBe(false)
  write({})
  expect(packagesAreCurrent(root)).toBe(false)
  write({ 'node_modules/a': { version: '1.0.1', integrity: 'sha512-a' } })
  expect(packagesAreCurrent(root)).toBe(false)
  write({ 'node_modules/a': { version: '1.0.0', integrity: 'sha512-b' } })
  expect(packagesAreCurrent(root)).toBe(false)
})

test('the lock file names no host', () => {
  const lock = JSON.parse(readFileSync('package-lock.json', 'utf8'))
  for (const [name, entry] of Object.entries<{ resolved?: string; integrity?: string }>(lock.packages)) {
    expect(entry.resolved, name).toBeUndefined()
    if (name !== '') expect(entry.integrity, name).toMatch(/^sha512-/)
  }
})
