import { readFile } from 'node:fs/promises'
import { type Command, InvalidArgumentError } from 'commander'
import { VggError } from '../../error.js'
import { isObject, unknownName } from '../../options.js'
import { typedPath } from './flags.js'

/** Adds `--config FILE`: JSON with flags by the API's names. Flags on the command line take precedence. */
export function addConfigFlag(command: Command): Command {
  return command
    .option(
      '--config <file>',
      'JSON with these flags by the API\'s names: { "variant": "D", "imageSize": 224 }',
      typedPath,
    )
    .hook('preAction', readConfig)
}

async function readConfig(_: Command, command: Command): Promise<void> {
  const file: unknown = command.opts().config
  if (typeof file !== 'string') return
  const options = command.options.filter((option) => option.attributeName() !== 'config')
  const names = options.map((option) => option.attributeName())
  for (const [key, value] of Object.entries(await readObject(file))) {
    const option = options.find((one) => one.attributeName() === key)
    if (option === undefined) throw unknownName(key, file, names)
    const source = command.getOptionValueSource(key)
    if (source === 'cli') continue
    command.setOptionValueWithSource(key, parsed(value, key, file, option), 'config')
  }
}

async function readObject(file: string): Promise<Record<string, unknown>> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (cause) {
    throw new VggError('FILE_NOT_FOUND', `Could not read the config file ${file}: ${(cause as Error).message}`, {
      cause,
    })
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new VggError('FILE_FORMAT', `The config file ${file} is not JSON: ${(cause as Error).message}`, { cause })
  }
  if (isObject(value)) return value
  throw new VggError('FILE_FORMAT', `Expected an object of flags in the config file ${file}`)
}

/** The value as the flag itself reads it: `[480, 640]` as `480x640`, `{ "fc8": 10 }` as `fc8=10`. */
function parsed(value: unknown, key: string, file: string, option: Command['options'][number]): unknown {
  const position = `${key} in ${file}`
  if (option.isBoolean() || option.negate) {
    if (typeof value === 'boolean') return value
    throw new VggError(
      'INVALID_ARGUMENT',
      `Expected true or false for ${position} but received ${JSON.stringify(value)}`,
    )
  }
  const text = flagText(value, key)
  try {
    return option.parseArg ? option.parseArg(text, undefined) : text
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error
    throw new VggError('INVALID_ARGUMENT', `Received ${JSON.stringify(value)} for ${position}. ${error.message}`)
  }
}

function flagText(value: unknown, key: string): string {
  if (Array.isArray(value)) return value.join(key === 'imageSize' ? 'x' : ',')
  if (!isObject(value)) return String(value)
  const pairs = Object.entries(value).map(([name, inner]) => `${name}=${inner}`)
  return pairs.join(',')
}
