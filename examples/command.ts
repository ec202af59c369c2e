// Command lines of the examples: flags with defaults, --help, and errors in one sentence; and the program vggnet.
import { createRequire } from 'node:module'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { VggError } from 'vggnet'

const { resolve } = createRequire(import.meta.url)

/** Path of the program vggnet, of the package that the examples import. */
export const commandLine = path.join(path.dirname(resolve('vggnet/package.json')), 'dist', 'cli', 'main.js')

/** Parses the text of a flag as an integer from `least` to `most`. */
export function wholeNumber(text: string, flag: string, [least, most]: readonly [number, number]): number {
  const value = Number(text)
  if (text.trim() !== '' && Number.isInteger(value) && value >= least && value <= most) return value
  throw new VggError(
    'INVALID_ARGUMENT',
    `Expected a whole number from ${least} to ${most} for --${flag} but received '${text}'`,
  )
}

/** Runs an example with its flags, given as strings. The exit code is 2 for wrong usage and 1 for a VggError. */
export async function command<Flag extends string>(
  usage: string,
  defaults: Readonly<Record<Flag, string>>,
  run: (flags: Record<Flag, string>) => Promise<void>,
): Promise<void> {
  try {
    const texts = Object.fromEntries(Object.keys(defaults).map((flag) => [flag, { type: 'string' as const }]))
    const { values } = parseArgs({ options: { ...texts, help: { type: 'boolean' } } })
    if (values.help) console.log(usage)
    else await run({ ...defaults, ...values } as Record<Flag, string>)
  } catch (error) {
    const isWrongUse = error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')
    if (!isWrongUse && !(error instanceof VggError)) throw error
    console.error(isWrongUse ? `${error.message}\n${usage}` : `${error.message} [${(error as VggError).code}]`)
    process.exitCode = isWrongUse ? 2 : 1
  }
}
