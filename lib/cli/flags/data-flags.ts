import { type Command, Option } from 'commander'
import type { DecodingOptions, ImageFormat } from '../../data/images/formats.js'
import { VggError } from '../../error.js'
import type { DataDescription, RunDescription } from '../../run/description.js'
import { isList, type Sources } from '../../run/sources.js'
import { file, given, names, number } from './flags.js'

/** The flags that say what image files may be and cost, the same for every command that decodes some. */
export interface DecodingFlags {
  formats?: string[]
  pixelLimit?: number
  decodeSeconds?: number
}

/** Adds the flags of {@link DecodingFlags}. */
export function addDecodingFlags(command: Command): Command {
  return command
    .option('--formats <names>', 'of image files: jpeg, png, webp, gif, tiff, heif, svg (default: all but svg)', names)
    .option('--pixel-limit <n>', 'pixels of the largest image (default: 268402689)', number)
    .option('--decode-seconds <n>', 'seconds that decoding one image may take (default: 30)', number)
}

/** What {@link DecodingFlags} say; their values are checked where images are read. */
export function decodingOf({ formats, pixelLimit, decodeSeconds }: DecodingFlags): DecodingOptions {
  return given({ formats: formats as ImageFormat[] | undefined, pixelLimit, decodeSeconds })
}

/** The flags that say where images are and how they are read, the same for every command that reads a dataset. */
export interface DataFlags extends DecodingFlags {
  images?: string
  labels?: string
  valImages?: string
  valLabels?: string
  valList?: string
  classNames?: string[]
  onUnreadable?: 'skip' | 'throw'
  cache?: string
  workers?: number
}

/** Adds the flags of {@link DataFlags}. */
export function addDataFlags(command: Command): Command {
  command
    .optionsGroup('Data (a folder with one sub-folder for each class, a CSV or TSV of path and label, or IDX):')
    .option('--images <file>', 'images, IDX, plain or gzip', file)
    .option('--labels <file>', 'their classes, IDX', file)
    .option('--val-images <file>', 'images for validation, IDX', file)
    .option('--val-labels <file>', 'their classes, IDX', file)
    .option('--val-list <file>', 'images for validation, where the data are a list', file)
    .option('--class-names <names>', 'one for each class, with commas between them (IDX)', names)
    .addOption(
      new Option('--on-unreadable <what>', 'for images that cannot be read (default: throw)').choices([
        'throw',
        'skip',
      ]),
    )
    .option('--cache <folder>', 'keeps decoded images here', file)
    .option('--workers <n>', 'images decoded at once', number)
  return addDecodingFlags(command)
}

/** The data that the words and flags name. @throws INVALID_ARGUMENT where they name none or several */
export function dataOf(data: string | undefined, flags: DataFlags): DataDescription {
  const { images, labels, valImages, valLabels, valList } = flags
  const refuse = (message: string) => new VggError('INVALID_ARGUMENT', message)
  if (data !== undefined && (images ?? labels ?? valImages ?? valLabels) !== undefined) {
    throw refuse('Expected DATA or IDX files (--images, --labels), and received both')
  }
  if (data !== undefined) {
    if (isList(data)) return { kind: 'list', path: data, ...(valList && { validationPath: valList }) }
    if (valList !== undefined) throw refuse(`Expected a list as DATA for --val-list but received '${data}'`)
    return { kind: 'folder', path: data }
  }
  // Not options that commander requires: it would say so before it said that one is misspelt.
  if (images === undefined || labels === undefined) {
    throw refuse(
      'Expected DATA, a folder or a list of images, or --images FILE and --labels FILE, images and their classes as IDX',
    )
  }
  if ((valImages === undefined) !== (valLabels === undefined)) {
    throw refuse('Expected --val-images and --val-labels together but received only one of them')
  }
  const held = valImages !== undefined &&
    valLabels !== undefined && { validationImages: valImages, validationLabels: valLabels }
  return { kind: 'idx', images, labels, ...held }
}

/** How these flags say that images are read. */
export function readingOf(
  flags: DataFlags,
): DecodingOptions & Pick<RunDescription['photographs'], 'onUnreadable' | 'cache' | 'workers'> {
  const { onUnreadable = 'throw', cache, workers } = flags
  return { onUnreadable, ...given({ cache, workers }), ...decodingOf(flags) }
}

/** @throws INVALID_ARGUMENT for a flag of images where the images are of one size: it would have no effect */
export function checkReading(photographs: RunDescription['photographs'], kind: Sources['kind']): void {
  if (kind === 'files') return
  const { smallestSide, randomCrop, flip, colour, onUnreadable, cache, workers } = photographs
  const { formats, pixelLimit, decodeSeconds } = photographs
  const flags = {
    '--smallest-side': smallestSide !== undefined,
    '--no-crop': !randomCrop,
    '--no-flip': !flip,
    '--no-colour': !colour,
    '--on-unreadable skip': onUnreadable === 'skip',
    '--cache': cache !== undefined,
    '--workers': workers !== undefined,
    '--formats': formats !== undefined,
    '--pixel-limit': pixelLimit !== undefined,
    '--decode-seconds': decodeSeconds !== undefined,
  }
  const [flag] = Object.entries(flags).find(([, isGiven]) => isGiven) ?? []
  if (flag === undefined) return
  const message = `Expected no ${flag}, which is for image files, with images of one size (IDX, CIFAR)`
  throw new VggError('INVALID_ARGUMENT', message)
}
