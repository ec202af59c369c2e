import { type Command, InvalidArgumentError } from 'commander'
import { VggError } from '../../error.js'
import { readRegularFile } from '../../files/regular-file.js'
import { boolean, isObject, text, unexpected, unknownName } from '../../options.js'
import { type JsonLimits, parsedJson } from '../../untrusted.js'
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

/** Limits of a config file: 65,536 class names of 200 bytes. */
const limits: JsonLimits = { bytes: 2 ** 24, depth: 8, values: 2 ** 17, keys: 2 ** 12 }

async function readObject(file: string): Promise<Record<string, unknown>> {
  let text: Buffer
  try {
    text = await readRegularFile(file, limits.bytes)
  } catch (cause) {
    if (cause instanceof VggError) throw cause
    throw new VggError('FILE_NOT_FOUND', `Could not read the config file ${file}: ${(cause as Error).message}`, {
      cause,
    })
  }
  const value = parsedJson(text, limits, `The config file ${file}`)
  if (isObject(value)) return value
  throw new VggError('FILE_FORMAT', `Expected an object of flags in the config file ${file}`)
}

/**
 * The value as the flag itself reads it: `[480, 640]` as `480x640`, `{ "fc8": 10 }` as `fc8=10`.
 * @throws INVALID_ARGUMENT with the key and the file
 */
function parsed(value: unknown, key: string, file: string, option: Command['options'][number]): unknown {
  const position = `${key} in ${file}`
  if (option.isBoolean() || option.negate) return boolean(value, position)
  const read = parsedText(flagText(value, position, separators[key] ?? ','), position, option)
  // a number or a list is no name and no path
  if (typeof read === 'string') text(value, position)
  return read
}

const separators: Readonly<Record<string, string>> = { imageSize: 'x', smallestSide: '-' }

function parsedText(value: string, position: string, option: Command['options'][number]): unknown {
  try {
    return option.parseArg ? option.parseArg(value, undefined) : value
  } catch (error) {
    if (error instanceof InvalidArgumentError)
      throw new VggError('INVALID_ARGUMENT', `Received '${value}' for ${position}. ${error.message}`)
    if (!(error instanceof VggError)) throw error
    throw new VggError(error.code, `${error.message} (${position})`, { cause: error })
  }
}

const isPlain = (value: unknown): value is string | number =>
  typeof value === 'number' || (typeof value === 'string' && value !== '')

function flagText(value: unknown, position: string, separator: string): string {
  if (isPlain(value)) return String(value)
  if (Array.isArray(value) && value.length > 0 && value.every(isPlain)) return value.join(separator)
  if (isObject(value) && Object.values(value).length > 0 && Object.values(value).every(isPlain)) {
    return Object.entries(value)
      .map(([name, inner]) => `${name}=${inner}`)
      .join(',')
  }
  throw unexpected('a number, a string that is not empty, or a list or an object of these', position, value)
}
