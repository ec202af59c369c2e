import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { Random } from '../../lib/random.js'
import { newFolder } from '../setup/folder.js'
import { expectEqual, killedAndResumed, type Left, undisturbed } from '../setup/killed.js'

function expectEachPictureOnce(left: Left): void {
  const seen = new Map<number, number[]>()
  for (const line of left.steps.values()) {
    const [, , epoch = '', rest = ''] = line.split(' ')
    const [, , indices] = JSON.parse(rest)
    seen.set(Number(epoch), [...(seen.get(Number(epoch)) ?? []), ...indices])
  }
  const all = Array.from({ length: 44 }, (_, index) => index)
  expect([...seen.keys()]).toEqual([1, 2, 3, 4, 5])
  for (const indices of seen.values()) expect(indices.sort((a, b) => a - b)).toEqual(all)
}

describe('a training that is killed', () => {
  test('a dozen times at random moments ends with the bytes of one that is not', async () => {
    const folder = newFolder()
    const { left, milliseconds } = await undisturbed(path.join(folder, 'undisturbed'))
    expectEachPictureOnce(left)
    const random = new Random(20)
    const moments: string[] = []
    for (let chain = 0; moments.length < 12; chain++) {
      const kills = 12 - moments.length
      const chained = await killedAndResumed(path.join(folder, `${chain}`), random, { kills, milliseconds })
      expectEqual(chained.left, left)
      moments.push(...chained.moments)
    }
    console.log(`killed ${moments.join(', ')}`)
  }, 120_000)
})
