import { expect, test } from 'vitest'
import { sanitizerEnvironment } from '../../scripts/setup/sanitizer.mjs'
import { root } from '../setup/command.js'
import { newFolder } from '../setup/folder.js'
import { counts } from './counts.js'
import { type Ended, startProgram } from './program.js'

/** A program with the debug build; what nothing points to when it ends is reported, with the way it was allocated. */
async function withSanitizers(name: string, words: readonly (string | number)[]): Promise<Ended> {
  const sanitizers = await sanitizerEnvironment(root)
  const options = `${sanitizers.ASAN_OPTIONS}:detect_leaks=1:fast_unwind_on_malloc=1`
  const env = { ...sanitizers, ASAN_OPTIONS: options }
  return startProgram(name, words, { env, flags: ['--expose-gc'], limit: 300_000 }).ended
}

// A promise of a thread that was terminated can be neither resolved nor freed: 8 bytes of Node's.
function leaksOf(report: string): string[] {
  const leaks = report.split(/\n(?=(?:Direct|Indirect) leak of )/).slice(1)
  return leaks.filter((leak) => /vggnet\.node|native\//.test(leak) && !/ in napi_create_promise /.test(leak))
}

test.each(counts.leaks.done)(
  '"%s" leaks nothing',
  async (work) => {
    const { code, signal, error } = await withSanitizers('memory-program.mjs', [newFolder(), work, 1, 5])
    expect(leaksOf(error)).toEqual([])
    expect({ code, signal }, error).toEqual({ code: 0, signal: null })
  },
  400_000,
)

test('worker threads that are terminated in mid-work leak nothing', async () => {
  const words = [newFolder(), 0, 2, ...counts.leaks.terminated]
  const { signal, error } = await withSanitizers('threads-program.mjs', words)
  expect(leaksOf(error)).toEqual([])
  expect({ signal, other: /ERROR: AddressSanitizer|runtime error/.exec(error) }).toEqual({ signal: null, other: null })
})
