import path from 'node:path'
import { expect, test } from 'vitest'
import { Random } from '../../lib/random.js'
import { newFolder } from '../setup/folder.js'
import { expectEqual, killedAndResumed, undisturbed } from '../setup/killed.js'

test('killed 200 times at random moments, a training ends with the bytes of one that is not', async () => {
  const folder = newFolder()
  const { left, milliseconds } = await undisturbed(path.join(folder, 'undisturbed'))
  const random = new Random(200)
  const counts = new Map<string, number>()
  let kills = 0
  for (let chain = 0; kills < 200; chain++) {
    // chains of one kill reach the end, long ones begin over and over
    const most = Math.min(200 - kills, 1 + random.integer(12))
    const chained = await killedAndResumed(path.join(folder, `${chain}`), random, { kills: most, milliseconds })
    expectEqual(chained.left, left)
    kills += chained.moments.length
    for (const moment of chained.moments) counts.set(moment, (counts.get(moment) ?? 0) + 1)
  }
  console.log([...counts].map(([moment, count]) => `${count} ${moment}`).join(', '))
  expect(kills).toBe(200)
}, 3_600_000)
