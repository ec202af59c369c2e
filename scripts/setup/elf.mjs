import { run } from './command.mjs'
import { SetupProblem } from './problem.mjs'

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
