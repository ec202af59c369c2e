// manifest.json in the folder of the prebuilt binaries describes them, for the loader and for packing.
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { run } from './command.mjs'
import { SetupProblem } from './problem.mjs'

export const manifestName = 'manifest.json'
const format = 1

const families = ['GLIBC', 'GLIBCXX', 'CXXABI', 'GCC']

/** Whether a version like 3.4.30 is later than another. */
export function isHigher(version, other) {
  const [left, right] = [version, other].map((text) => text.split('.').map(Number))
  const different = left.findIndex((part, index) => part !== (right[index] ?? 0))
  return different !== -1 && left[different] > (right[different] ?? 0)
}

/**
 * The highest version of each family of symbols that the binaries ask of the machine: `{ GLIBC: '2.34', ... }`.
 * @param {string[]} files
 * @returns {Promise<Record<string, string>>}
 */
export async function neededVersions(files) {
  // The wide form has one need a line: `0x0010:   Name: GLIBC_2.34  Flags: none  Version: 4`.
  const { ok, output, stdout } = await run('readelf', ['-W', '--version-info', ...files], { env: { LC_ALL: 'C' } })
  if (!ok) throw new SetupProblem('BUILD_FAILED', 'readelf could not read the binaries; its output is above', output)
  const highest = {}
  for (const [, family, version] of stdout.matchAll(/Name: ([A-Z]+)_([\d.]+)\s+Flags: /g)) {
    if (families.includes(family) && isHigher(version, highest[family] ?? '0')) highest[family] = version
  }
  return Object.fromEntries(families.filter((name) => name in highest).map((name) => [name, highest[name]]))
}

/** SHA-256 of a file's content, in hex. */
export const sha256Of = (file) => createHash('sha256').update(readFileSync(file)).digest('hex')

function filesIn(folder) {
  const names = readdirSync(folder).filter((name) => name !== manifestName)
  return Object.fromEntries(
    names.sort().map((name) => {
      const file = path.join(folder, name)
      return [name, { bytes: statSync(file).size, sha256: sha256Of(file) }]
    }),
  )
}

/**
 * Writes what lies in `folder` into its manifest.json; to be called last.
 * @param {string} folder
 * @param {{ version: string, buildId: string, compiler: string }} build the compiler brings libgomp.so.1 along
 */
export async function writeManifest(folder, { version, buildId, compiler }) {
  const files = filesIn(folder)
  const needs = await neededVersions(Object.keys(files).map((name) => path.join(folder, name)))
  const text = JSON.stringify({ format, version, buildId, compiler, needs, files }, null, 2)
  writeFileSync(path.join(folder, manifestName), `${text}\n`)
}

/** Reads the manifest of a folder of binaries; undefined if it is missing or unreadable. */
export function readManifest(folder) {
  const file = path.join(folder, manifestName)
  if (!existsSync(file)) return undefined
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
}

/** Whether the folder contains exactly the files of its manifest, byte for byte. */
export function manifestHolds(folder) {
  const manifest = readManifest(folder)
  return manifest !== undefined && JSON.stringify(manifest.files) === JSON.stringify(filesIn(folder))
}
