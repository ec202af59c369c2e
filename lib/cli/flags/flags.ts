import path from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Device, RunOptions } from '../../network/open.js'
import type { Precision } from '../../platform/native-description.js'
import type { VggOptions } from '../../vgg/configuration.js'

/** A number as written on a command line; its range is for the option that takes it. */
export function number(value: string): number {
  const read = Number(value)
  if (value.trim() === '' || !Number.isFinite(read)) throw new InvalidArgumentError('Expected a number.')
  return read
}

/** A file or folder, from the root: a run that goes on may do so from another folder. */
export const file = (value: string): string => path.resolve(value)

/** Numbers with commas between them: `123.68,116.779,103.939`. */
export function numbers(value: string): number[] {
  return value.split(',').map(number)
}

/** Names with commas between them: `cat,dog`. */
export function names(value: string): string[] {
  return value.split(',').map((name) => name.trim())
}

/** A side or height x width: `224`, `480x640`. */
export function imageSize(value: string): [number, number] {
  const [height = Number.NaN, width = height, ...more] = value.split('x').map(number)
  if (more.length > 0) throw new InvalidArgumentError('Expected a side or HEIGHTxWIDTH.')
  return [height, width]
}

/** S: `256`, or `256-512` for a range to draw from. */
export function smallestSide(value: string): number | [number, number] {
  const [least = Number.NaN, most, ...more] = value.split('-').map(number)
  if (more.length > 0) throw new InvalidArgumentError('Expected a side or LEAST-MOST.')
  return most === undefined ? least : [least, most]
}

/** Layers with a number each: `fc8=10,fc7=1`. */
export function numbersByName(value: string): Record<string, number> {
  const pairs = value.split(',').map((pair): [string, number] => {
    const [name = '', factor, ...more] = pair.split('=')
    if (factor === undefined || more.length > 0) throw new InvalidArgumentError('Expected LAYER=NUMBER,...')
    return [name.trim(), number(factor)]
  })
  return Object.fromEntries(pairs)
}

/** The flags that say what network is meant, the same for every command that makes one. */
export type ModelFlags = Pick<VggOptions, 'channels' | 'width' | 'headWidth' | 'dropout' | 'localNorm' | 'exact'> & {
  variant?: string
  classes?: number
  imageSize?: [number, number]
}

/** The configuration where none is named. No default of the flag: with --from it must be known whether it was given. */
export const defaultVariant = 'A'

/** Adds the flags of {@link ModelFlags}. */
export function addModelFlags(command: Command): Command {
  return command
    .option('--variant <name>', `A, A-LRN, B, C, D, E, or VGG11, VGG13, VGG16, VGG19, ... (default: ${defaultVariant})`)
    .option('--classes <n>', 'outputs of the last layer', number)
    .option('--image-size <size>', 'side, or HEIGHTxWIDTH, from 32 up', imageSize)
    .option('--channels <n>', '3 for colour, 1 for grey', number)
    .option('--width <factor>', "multiplier of the convolutions' channels (default: 1)", number)
    .option('--head-width <n>', 'outputs of fc6 and fc7 (default: 4096)', number)
    .option('--dropout <p>', 'dropout after fc6 and fc7 (default: 0.5)', number)
    .addOption(new Option('--local-norm <form>', 'the normalisation of A-LRN').choices(['literal', 'caffe']))
    .option('--exact', 'direct convolutions only, no Winograd')
}

/** The flags that say where to compute, the same for every command that does. */
export interface DeviceFlags {
  device?: string
  precision?: Precision
  deterministic?: true
}

/** Adds the flags of {@link DeviceFlags}. */
export function addDeviceFlags(command: Command, fallback: 'auto' | 'cpu'): Command {
  return command
    .option('--device <name>', `auto, cpu, cuda, cuda:N (default: ${fallback})`)
    .addOption(
      new Option(
        '--precision <name>',
        'of activations and products (default: bf16 on a card from sm_80 on, else float32)',
      ).choices(['bf16', 'tf32', 'float32']),
    )
    .option('--deterministic', 'on a card: equal runs give equal bits; slower')
}

/** What {@link DeviceFlags} say, as options of a network. */
export function deviceOptions({ device, precision, deterministic }: DeviceFlags): RunOptions {
  return given({ device: device as Device | undefined, precision, deterministic })
}

/** The entries that were given: an option that is left out must not hide the default behind it. */
export function given<T extends object>(flags: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined)) as never
}
