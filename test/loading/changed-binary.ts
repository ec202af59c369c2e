// Copies of a binary that differ from it in one respect.
import { readFileSync, writeFileSync } from 'node:fs'

/** The hash by which the dynamic linker compares names of versions. */
function elfHash(name: string): number {
  let hash = 0
  for (const letter of Buffer.from(name)) {
    hash = ((hash << 4) + letter) >>> 0
    const high = hash & 0xf0000000
    hash = ((hash ^ (high >>> 24)) & ~high) >>> 0
  }
  return hash
}

const bytesOf = (hash: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(hash)
  return bytes
}

function replaceAll(file: Buffer, from: Buffer, to: Buffer): void {
  let found = 0
  for (let at = file.indexOf(from); at !== -1; at = file.indexOf(from, at + 1)) {
    to.copy(file, at)
    found += 1
  }
  if (found === 0) throw new Error(`Expected ${from} in the binary`)
}

/** Has the binary ask for another version of a library: GLIBC_2.34 becomes GLIBC_2.99. */
export function askFor(file: string, from: string, to: string): void {
  const content = readFileSync(file)
  replaceAll(content, Buffer.from(`\0${from}\0`), Buffer.from(`\0${to}\0`))
  replaceAll(content, bytesOf(elfHash(from)), bytesOf(elfHash(to)))
  writeFileSync(file, content)
}

/** Another text of the same length: another build id, the name of another library. */
export function replaceText(file: string, from: string, to: string): void {
  const content = readFileSync(file)
  replaceAll(content, Buffer.from(from), Buffer.from(to))
  writeFileSync(file, content)
}

/** The first bytes of a file; of 0.5 half of it, of -4096 all but the last 4096. */
export function truncate(file: string, length: number): void {
  const content = readFileSync(file)
  const end = length > 0 && length < 1 ? Math.floor(content.length * length) : length
  writeFileSync(file, content.subarray(0, end))
}
