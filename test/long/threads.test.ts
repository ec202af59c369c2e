// The addon's threads under ThreadSanitizer, in Node, for half an hour (VGGNET_SECONDS): queues, promises, workers that end, exits.
import { expect, test } from 'vitest'
import { type Ended, startProgram } from '../manners/program.js'
import { seed } from '../safety/cases.js'
import { buildForThreads } from '../safety/threads/build.mjs'
import { newFolder } from '../setup/folder.js'

const seconds = Number(process.env.VGGNET_SECONDS ?? 1800)

/** A program under ThreadSanitizer, to its end. */
async function watched(program: string, words: readonly (string | number)[], flags: string[] = []): Promise<Ended> {
  const env = await buildForThreads()
  return startProgram(program, words, { env, flags, limit: (seconds + 600) * 1000 }).ended
}

const racesOf = (report: string) => report.split(/^(?=WARNING: ThreadSanitizer)/m).slice(1)

test(
  'nets whose calls succeed, fail and are refused, in worker threads that are terminated: no race, the same numbers',
  async () => {
    const { code, signal, out, error } = await watched('../safety/threads/program.mjs', [seconds, seed])
    expect(racesOf(error)).toEqual([])
    expect({ code, signal }, error).toEqual({ code: 0, signal: null })
    console.log(`${seconds} s, seed ${seed}: ${out}`)
  },
  (seconds + 1200) * 1000,
)

test.each(['process.exit', 'process.exit in a listener', 'process.exit in the worker', 'uncaught exception'])(
  '%s in mid-work: no race',
  async (way) => {
    const folder = newFolder()
    for (const work of ['step', 'create and forward', 'create and drop']) {
      for (const position of way.endsWith('worker') ? ['worker'] : ['main', 'worker']) {
        const { error } = await watched('ending-program.mjs', [folder, way, work, position, 5])
        expect(racesOf(error), `${work} in ${position}`).toEqual([])
      }
    }
  },
)
