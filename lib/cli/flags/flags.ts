import { existsSync } from 'node:fs'
import path from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { VggError } from '../../error.js'
import { isFolder, withHome } from '../../files/not-found.js'
import { type Device, type Initialisation, type RunOptions, runTable } from '../../network/open.js'
import { type Check, fallbackOf, type OptionRow } from '../../options.js'
import type { Precision } from '../../platform/native-description.js'
import { modelTable } from '../../vgg/configuration.js'
import type { VggOptions } from '../../vgg/options.js'
import { isHubUri } from '../../weights/hub/uri.js'

/** A number on the command line: `0.5`, or a fraction, `1/58`. The option checks its range. */
export function number(value: string): number {
  const parts = value.split('/')
  const [numerator = Number.NaN, denominator = 1, ...more] = parts.map(Number)
  const read = numerator / denominator
  if (more.length > 0 || parts.some((part) => part.trim() === '') || !Number.isFinite(read))
    throw new InvalidArgumentError('Expected a number, such as 0.5 or 1/58.')
  return read
}

/** A path as typed: not empty, and without a `~` that the shell did not expand, which would name a folder `~` here. */
export function typedPath(value: string): string {
  if (value === '')
    throw new InvalidArgumentError('Expected a path, not an empty text; is a variable of the shell unset?')
  const home = value.startsWith('~/') && !existsSync('~') ? withHome(value) : undefined
  if (home === undefined) return value
  throw new InvalidArgumentError(
    `The shell did not expand '~', which it does unquoted and at the start of a word; write ${home}`,
  )
}

/** The absolute path of a file or folder: a run may be resumed from another working directory. */
export const file = (value: string): string => path.resolve(typedPath(value))

/** A source of weights: the absolute path of a file or folder, or an address on the hub. */
export const source = (value: string): string => (isHubUri(value) ? value : file(value))

/** Checks that the file of --out can be written in its folder, before anything is read or computed. @throws FILE_WRITE */
export async function checkFolderOf(out: string): Promise<void> {
  const folder = path.dirname(out)
  if (await isFolder(folder)) return
  const message = `Expected a file in a folder that exists for --out but there is no folder ${folder}: create it`
  throw new VggError('FILE_WRITE', message)
}

/** Numbers separated by commas: `30,60`. */
export const numbers = (value: string): number[] => value.split(',').map(number)

/** One number for all channels, `120`, or one for each, `123.68,116.779,103.939`. */
export function channelNumbers(value: string): number | number[] {
  const [first = Number.NaN, ...others] = numbers(value)
  return others.length === 0 ? first : [first, ...others]
}

/** Names separated by commas: `cat,dog`. */
export function names(value: string): string[] {
  return value.split(',').map((name) => name.trim())
}

/** An image size: `224`, or `480x640` for height and width. */
export function imageSize(value: string): [number, number] {
  const [height = Number.NaN, width = height, ...more] = value.split('x').map(number)
  if (more.length > 0) throw new InvalidArgumentError('Expected a side or HEIGHTxWIDTH.')
  return [height, width]
}

/** The smaller side S: `256`, or `256-512` for a random one. */
export function smallestSide(value: string): number | [number, number] {
  const [least = Number.NaN, most, ...more] = value.split('-').map(number)
  if (more.length > 0) throw new InvalidArgumentError('Expected a side or LEAST-MOST.')
  return most === undefined ? least : [least, most]
}

/** Numbers by layer: `fc8=10,fc7=1`. */
export function numbersByName(value: string): Record<string, number> {
  const pairs = value.split(',').map((pair): [string, number] => {
    const [name = '', factor, ...more] = pair.split('=')
    if (factor === undefined || more.length > 0) throw new InvalidArgumentError('Expected LAYER=NUMBER,...')
    return [name.trim(), number(factor)]
  })
  return Object.fromEntries(pairs)
}

/** A parser of a flag that checks the value as its option does, before the command does anything. */
export const checked =
  <T>(parse: (value: string) => T, check: Check<unknown>, flag: string) =>
  (value: string): T => {
    const read = parse(value)
    check(read, flag.replace(/ .*/, ''))
    return read
  }

/**
 * Adds the flags of a table of options, with their defaults in the help text. A flag takes one of its choices, or a number
 * unless `parsers` names another form.
 */
export function addTable(
  command: Command,
  table: Record<string, OptionRow>,
  parsers: Record<string, (value: string) => unknown> = {},
): Command {
  for (const [name, { flag, help = '', check, choices }] of Object.entries(table)) {
    if (flag === undefined) continue
    const fallback = fallbackOf(check)
    const states = help.includes('(default') || !['number', 'string'].includes(typeof fallback)
    const option = new Option(flag, states ? help : `${help} (default: ${fallback})`)
    if (choices !== undefined) option.choices(choices)
    else if (flag.includes('<')) option.argParser(checked(parsers[name] ?? number, check, flag))
    command.addOption(option)
  }
  return command
}

/** A value of a flag as text, for {@link addTable}. */
const word = (value: string): string => value

/** The flags of a network, the same for each command that makes one. */
export type ModelFlags = Pick<VggOptions, 'channels' | 'width' | 'headWidth' | 'dropout' | 'localNorm' | 'exact'> & {
  variant?: string
  classes?: number
  imageSize?: [number, number]
}

/** The configuration if none is given. The flag has no default: with --from, only a given one counts. */
export const defaultVariant = 'A'

/** Adds the flags of {@link ModelFlags}. */
export function addModelFlags(command: Command): Command {
  const { initialisation: _, meanRgb: __, scale: ___, head: ____, ...shape } = modelTable
  return addTable(addTable(command, shape, { variant: word, imageSize }), { exact: runTable.exact })
}

/** Adds the flag `--head`, for commands that do not need one. */
export const addHeadFlag = (command: Command): Command => addTable(command, { head: modelTable.head })

/** The flags of initial weights and of the input's normalisation. */
export interface InitialFlags {
  initialisation?: Exclude<Initialisation, 'none'>
  mean?: number | number[]
  scale?: number | number[]
}

/** Adds the flags of {@link InitialFlags}. */
export function addInitialFlags(command: Command): Command {
  const { initialisation, meanRgb, scale } = modelTable
  return addTable(command, { initialisation, meanRgb, scale }, { meanRgb: channelNumbers, scale: channelNumbers })
}

/** The flags of the device, the same for each command that computes. */
export interface DeviceFlags {
  device?: string
  precision?: Precision
  deterministic?: true
}

/** Adds the flags of {@link DeviceFlags}. */
export function addDeviceFlags(command: Command, fallback: 'auto' | 'cpu'): Command {
  const { device, precision, deterministic } = runTable
  const help = `${device.help} (default: ${fallback})`
  return addTable(command, { device: { ...device, help }, precision, deterministic }, { device: word })
}

/** Adds the flag `--threads`. */
export const addThreadsFlag = (command: Command): Command => addTable(command, { threads: runTable.threads })

/** The options of a network from {@link DeviceFlags}. */
export function deviceOptions({ device, precision, deterministic }: DeviceFlags): RunOptions {
  return given({ device: device as Device | undefined, precision, deterministic })
}

/** The entries that are not undefined, so that an absent flag does not hide a default. */
export function given<T extends object>(flags: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined)) as never
}
