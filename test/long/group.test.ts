import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { Random } from '../../lib/index.js'
import { mpis, train } from '../group/launch.js'
import { newFolder } from '../setup/folder.js'

/** Kills of a rank at random moments; VGGNET_CASES and VGGNET_SEED change them. */
const cases = Number(process.env.VGGNET_CASES ?? 50)
const seed = Number(process.env.VGGNET_SEED ?? 1)

const newest = (folder: string): string | undefined =>
  readdirSync(folder)
    .filter((name) => /^step-\d+\.safetensors$/.test(name))
    .sort()
    .at(-1)

test(`a training of two ranks, of which one is killed ${cases} times, ends with the bytes of one that was not`, async () => {
  const random = new Random(seed)
  const options = { images: 40, epochs: 12, batch: 8 }
  const whole = newFolder()
  const saves = { everySteps: 3 }
  expect((await train('mpich', 2, { ...options, checkpoint: { folder: whole, ...saves } })).code).toBe(0)
  const last = newest(whole) ?? ''
  let [kills, folder] = [0, newFolder()]
  while (kills < cases) {
    const from = newest(folder)
    const rank = random.integer(2)
    // one that ends before is repeated from its start, with another moment
    const { code, seconds } = await train(mpis[random.integer(2)] ?? 'mpich', 2, {
      ...options,
      checkpoint: { folder, ...saves },
      ...(from && { from: path.join(folder, from) }),
      killAfter: [rank, 50 + random.integer(700)],
    })
    expect(seconds).toBeLessThan(60)
    if (code === 0) {
      expect(readFileSync(path.join(folder, last))).toEqual(readFileSync(path.join(whole, last)))
      folder = newFolder()
    } else kills += 1
  }
  const from = newest(folder)
  const ended = await train('mpich', 2, {
    ...options,
    checkpoint: { folder, ...saves },
    ...(from && { from: path.join(folder, from) }),
  })
  expect(ended.code).toBe(0)
  expect(readFileSync(path.join(folder, last))).toEqual(readFileSync(path.join(whole, last)))
  console.log(`${kills} kills, seed ${seed}`)
}, 7_200_000)
