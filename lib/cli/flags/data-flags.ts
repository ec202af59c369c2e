import { type Command, Option } from 'commander'
import { type DecodingOptions, decodingChecks, type ImageFormat } from '../../data/images/formats.js'
import { photoChecks } from '../../data/sources/photo-options.js'
import { VggError } from '../../error.js'
import type { DataDescription, RunDescription } from '../../run/description.js'
import { isList } from '../../run/sources.js'
import { checked, file, given, names, number } from './flags.js'

/** The flags that limit the decoding of image files, the same for each command that decodes some. */
export interface DecodingFlags {
  formats?: string[]
  pixelLimit?: number
  decodeSeconds?: number
  decodeBytes?: number
}

/** Adds the flags of {@link DecodingFlags}. */
export function addDecodingFlags(command: Command): Command {
  return command
    .option(
      '--formats <names>',
      'formats of image files: jpeg, png, webp, gif, tiff, heif, svg (default: all but svg)',
      checked(names, decodingChecks.formats, '--formats'),
    )
    .option(
      '--pixel-limit <n>',
      'most pixels of an image (default: 268402689)',
      checked(number, decodingChecks.pixelLimit, '--pixel-limit'),
    )
    .option(
      '--decode-seconds <n>',
      'most seconds for decoding an image (default: 30)',
      checked(number, decodingChecks.decodeSeconds, '--decode-seconds'),
    )
    .option(
      '--decode-bytes <n>',
      'most bytes of memory for images that are decoded at once (default: 2147483648)',
      checked(number, decodingChecks.decodeBytes, '--decode-bytes'),
    )
}

/** The options of {@link DecodingFlags}; values are checked where images are read. */
export function decodingOf({ formats, pixelLimit, decodeSeconds, decodeBytes }: DecodingFlags): DecodingOptions {
  return given({ formats: formats as ImageFormat[] | undefined, pixelLimit, decodeSeconds, decodeBytes })
}

/** The flags of a dataset, the same for each command that reads one. */
export interface DataFlags extends DecodingFlags {
  images?: string
  labels?: string
  valImages?: string
  valLabels?: string
  valList?: string
  classNames?: string[]
  emptyClasses?: 'refuse' | 'skip'
  onUnreadable?: 'skip' | 'throw'
  cache?: string
  workers?: number
}

/** Adds the flags of {@link DataFlags}. @param defaults the actions without these flags, for the help */
export function addDataFlags(command: Command, defaults = { onUnreadable: 'throw', emptyClasses: 'refuse' }): Command {
  command
    .optionsGroup('Data (a folder with one sub-folder for each class, a CSV or TSV of path and label, or IDX):')
    .option('--images <file>', 'training images, IDX, plain or gzip', file)
    .option('--labels <file>', 'labels of the training images, IDX', file)
    .option('--val-images <file>', 'validation images, IDX', file)
    .option('--val-labels <file>', 'labels of the validation images, IDX', file)
    .option('--val-list <file>', 'list of validation images, if the data are a list', file)
    .option('--class-names <names>', 'class names, separated by commas (IDX; default: their numbers)', names)
    .addOption(
      new Option(
        '--empty-classes <action>',
        `action for a class folder without an image; skip leaves the class out, and the next one has its index (default: ${defaults.emptyClasses})`,
      ).choices(['refuse', 'skip']),
    )
    .addOption(
      new Option(
        '--on-unreadable <action>',
        `action for an image that cannot be read (default: ${defaults.onUnreadable})`,
      ).choices(['throw', 'skip']),
    )
    .option('--cache <folder>', 'folder of the cache of decoded images (default: none)', file)
    .option(
      '--workers <n>',
      'number of images decoded at once (default: UV_THREADPOOL_SIZE or 4, at most one for each processor)',
      checked(number, photoChecks.workers, '--workers'),
    )
  return addDecodingFlags(command)
}

/** The data that arguments and flags name; undefined where they name none. @throws INVALID_ARGUMENT if there are several */
export function dataIfGiven(data: string | undefined, flags: DataFlags): DataDescription | undefined {
  const { images, labels, valImages, valLabels, valList } = flags
  const named = data ?? images ?? labels ?? valImages ?? valLabels ?? valList
  return named === undefined ? undefined : dataOf(data, flags)
}

/** The data of the arguments. @throws INVALID_ARGUMENT if there are none or several */
export function dataOf(data: string | undefined, flags: DataFlags): DataDescription {
  const { images, labels, valImages, valLabels, valList, emptyClasses } = flags
  const refuse = (message: string) => new VggError('INVALID_ARGUMENT', message)
  if (data !== undefined && (images ?? labels ?? valImages ?? valLabels) !== undefined) {
    throw refuse('Expected DATA or IDX files (--images, --labels), and received both')
  }
  if (emptyClasses !== undefined && (data === undefined || isList(data))) {
    throw refuse('Expected a folder of images as DATA for --empty-classes but received a list or IDX files')
  }
  if (data !== undefined) {
    if (isList(data)) return { kind: 'list', path: data, ...(valList && { validationPath: valList }) }
    if (valList !== undefined) throw refuse(`Expected a list as DATA for --val-list but received '${data}'`)
    return { kind: 'folder', path: data }
  }
  // not required by commander, which would report them before a misspelt flag
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

/** The options of reading images from these flags. */
export function readingOf(
  flags: DataFlags,
): DecodingOptions & Pick<RunDescription['photographs'], 'onUnreadable' | 'cache' | 'workers'> {
  const { onUnreadable = 'throw', cache, workers } = flags
  return { onUnreadable, ...given({ cache, workers }), ...decodingOf(flags) }
}
