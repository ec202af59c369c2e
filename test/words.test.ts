import { readdirSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { root } from './setup/command.js'
import { retiredInCode } from './setup/words.js'

/** Folders, with all that is in them, and files whose words are checked. To check more, add it. */
const rooms: readonly string[] = ['lib', 'bench', 'scripts', 'docs/topics', 'examples']

function filesIn(room: string): string[] {
  if (!statSync(path.join(root, room)).isDirectory()) return [room]
  return readdirSync(path.join(root, room), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.m?ts$|\.mjs$/.test(name))
    .map((name) => `${room}/${name}`)
}

test.each(rooms)('%s has none of the retired words', (room) => {
  const files = filesIn(room)
  expect(files.length).toBeGreaterThan(0)
  const found = files.flatMap((file) =>
    retiredInCode(readFileSync(path.join(root, file), 'utf8')).map((word) => `${file}: ${word}`),
  )
  expect(found).toEqual([])
})

test.each([
  ['// the picture behind it', ['picture: write image', 'behind: write after']],
  ['const leftOut = 1', ['leftOut: left Out: write Unreadable, skipped']],
  ['throw new Error(`Expected it in its place`)', ['place: write index, position, location']],
  ['/** The key `photographs`. */ const { photographs } = replace(placement)', []],
  ["import { x } from './place.js'", []],
])('in %s they are found', (code, found) => expect(retiredInCode(code)).toEqual(found))
