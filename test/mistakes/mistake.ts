import { describe, expect, test } from 'vitest'
import { type ErrorCode, VggError } from '../../lib/error.js'
import { vggnet } from '../setup/command.js'

/** What the answer to a mistake must hold. */
interface Answer {
  /** The mistake in words, as the title of its test. */
  readonly name: string
  readonly code: ErrorCode
  /** Words of the message that name the mistake: the option or file, and what was received. */
  readonly problem: readonly string[]
  /** Words of the message that name the cure: what is expected, or what to type. */
  readonly cure: readonly string[]
}

/** A mistake in a program. */
export interface ProgramMistake extends Answer {
  /** Makes the mistake: throws, or returns a promise that rejects. */
  readonly make: () => unknown
}

/** A mistake on the command line. */
export interface CommandMistake extends Answer {
  /** The arguments of `vggnet`. */
  readonly words: readonly string[]
  /** The exit code. */
  readonly status: number
}

function expectWords(message: string, { problem, cure }: Answer): void {
  for (const word of problem) expect(message, 'the problem').toContain(word)
  for (const word of cure) expect(message, 'the cure').toContain(word)
}

/** One test for each mistake in a program: it is refused with this code and these words, and the process lives. */
export function programMistakes(title: string, mistakes: readonly ProgramMistake[]): void {
  describe(title, () => {
    test.each(mistakes)('$name', async ({ make, ...answer }) => {
      const error = await Promise.resolve()
        .then(make)
        .then(
          () => undefined,
          (thrown: unknown) => thrown,
        )
      if (!(error instanceof VggError)) throw new Error(`Expected a VggError but received ${String(error)}`)
      expect(error.code).toBe(answer.code)
      expectWords(error.message, answer)
    })
  })
}

/** One test for each mistake on the command line: one line on stderr, this status, this code and these words. */
export function commandMistakes(title: string, mistakes: readonly CommandMistake[]): void {
  describe(title, () => {
    test.each(mistakes)('$name', async ({ words, status, ...answer }) => {
      const { code, stderr } = await vggnet(words)
      expect(stderr).toMatch(new RegExp(`^vggnet: ${answer.code}: [^\\n]+\\n$`))
      expectWords(stderr, answer)
      expect(code).toBe(status)
    })
  })
}
