import path from 'node:path'
import { VggError } from '../../error.js'
import { notFound } from '../../files/not-found.js'
import { filePath, integer, oneOf, readOptions, withDefault } from '../../options.js'
import { printable } from '../../table.js'
import { checkNotAbove, checkNotParts, joined, oneClass, partsOf, withoutClasses } from './layout.js'
import { type PartOptions, type PhotoList, type PhotoParts, partChecks, splitPhotos } from './photo-list.js'
import { withoutRuns } from './runs.js'
import { entriesOf, FolderWalk, type SkippedLink } from './walk.js'

/** The images of a folder. */
export interface FolderParts extends PhotoParts {
  /** Number of ignored entries: hidden ones, files without an image extension, and those that are neither file nor folder. */
  readonly ignored: number
  /**
   * Symbolic links that were not followed: to a folder that contains the link, to a folder that was read already in the
   * same part, or to a missing target. A process warning of type VggDataWarning lists them too.
   */
  readonly skippedLinks: readonly SkippedLink[]
  /** Names of the class folders without an image that were left out. A process warning of type VggDataWarning lists them too. */
  readonly skippedClasses: readonly string[]
}

/** Options of {@link readFolder}. */
export interface FolderOptions extends PartOptions {
  /**
   * Action for a class folder without an image in the training part: `refuse` (the default) throws, and `skip` leaves the
   * class out. The other classes keep their order and are numbered without it, so that its index belongs to the next one.
   */
  emptyClasses?: 'refuse' | 'skip'
  /** Fewest classes in the training part: 2, as training needs (the default), or 1, which evaluation allows. */
  leastClasses?: 1 | 2
}

/** Checks of {@link FolderOptions}. */
export const folderChecks = {
  ...partChecks,
  emptyClasses: withDefault(oneOf('refuse', 'skip'), 'refuse'),
  leastClasses: withDefault(integer(1, 2), 2),
}

const formatError = (message: string): VggError => new VggError('FILE_FORMAT', message)

interface Part {
  readonly list: PhotoList
  readonly ignored: number
  readonly skippedLinks: readonly SkippedLink[]
  readonly skippedClasses: readonly string[]
  /** Further classes whose folder has no image. */
  readonly empty: readonly string[]
}

/** Which classes a folder must and may have. */
interface Classes {
  /** The names, in this order. Undefined: those of the sub-folders. */
  readonly expected: readonly string[] | undefined
  /** Whether a class whose folder has no image is left out. */
  readonly leavesOut: (name: string) => boolean
}

/** Lists the images of a folder that has a sub-folder for each class. */
async function readClasses(folder: string, { expected, leavesOut }: Classes): Promise<Part> {
  const { entries: top, runs } = await withoutRuns(folder, await entriesOf(folder))
  if (runs.length > 0) warn(`Folders of runs in ${folder} that are not taken as classes: ${joined(runs)}`)
  if (top.folders.length === 0) throw await withoutClasses(folder, top)
  const walk = new FolderWalk()
  const found = await walk.imagesBelow(folder, top)
  const skippedLinks = [...top.broken, ...walk.skipped]
  warnOfLinks(skippedLinks)
  const empty = top.folders.filter((_, index) => found[index]?.images.length === 0)
  const skippedClasses = empty.filter(leavesOut)
  const folders = top.folders.filter((name) => !skippedClasses.includes(name))
  const stray = expected === undefined ? [] : folders.filter((name) => !expected.includes(name))
  if (stray.length > 0)
    throw formatError(`Expected no other classes in ${folder} than the model's but found ${joined(stray)}`)
  const classNames = expected ?? folders
  const sources: string[] = []
  const labels: number[] = []
  for (const [index, name] of top.folders.entries()) {
    const images = found[index]?.images ?? []
    checkNotAbove(folder, name, images)
    const label = classNames.indexOf(name)
    for (const image of images) {
      sources.push(image)
      labels.push(label)
    }
  }
  const ignored = found.reduce((sum, below) => sum + below.ignored, 0)
  if (sources.length === 0) {
    const files = ignored === 0 ? '' : `; its ${ignored} other files have no extension of an image (.jpg, .png, ...)`
    throw formatError(`Expected images in the folders of ${folder} but found none${files}`)
  }
  return {
    list: { sources, names: sources, labels: Int32Array.from(labels), classNames },
    // Images next to the class folders belong to no class.
    ignored: ignored + top.ignored + top.images.length,
    skippedLinks,
    skippedClasses,
    empty: empty.filter((name) => !skippedClasses.includes(name)),
  }
}

function warnOfLinks(skipped: readonly SkippedLink[]): void {
  if (skipped.length === 0) return
  warn(`Links that were not followed: ${joined(skipped.map(({ path, reason }) => `${path} (${reason})`))}`)
}

const warn = (message: string): void => process.emitWarning(printable(message), 'VggDataWarning')

/** Checks that there are so many classes, with images of each. */
async function checkClasses({ list, empty }: Part, folder: string, leastClasses: number): Promise<void> {
  const { classNames } = list
  if (classNames.length < leastClasses) throw await oneClass(folder, classNames[0] ?? '')
  if (empty.length === 0) return
  const found = `${joined(empty)} ${empty.length === 1 ? 'has' : 'have'} none`
  const cure = "add images, or leave such classes out with emptyClasses: 'skip' (--empty-classes skip)"
  throw formatError(`Expected images of every class in ${folder} but ${found}; ${cure}`)
}

function checkSameClasses(training: PhotoList, validation: PhotoList, folder: string): void {
  const onlyIn = (list: PhotoList, other: PhotoList) =>
    list.classNames.filter((name) => !other.classNames.includes(name))
  const missing = onlyIn(training, validation)
  const added = onlyIn(validation, training)
  if (missing.length === 0 && added.length === 0) return
  const parts = [
    ...(missing.length > 0 ? [`lacks ${joined(missing)}`] : []),
    ...(added.length > 0 ? [`also has ${joined(added)}`] : []),
  ]
  throw formatError(`Expected the classes of the training part in ${folder} too but it ${parts.join(' and ')}`)
}

async function readable<T>(folder: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    if (error instanceof VggError) throw error
    const { code, message, path: at = folder } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') throw notFound(`No folder at ${at}`, at, error)
    if (code === 'ENOTDIR') throw new VggError('FILE_FORMAT', `Expected a folder for ${at}`, { cause: error })
    throw new VggError('FILE_FORMAT', `Could not read ${at}: ${message}`, { cause: error })
  }
}

/**
 * Lists the images of a folder that has a sub-folder for each class (its images may be in further sub-folders), or train/
 * and val/ (also validation/, valid/ or test/) with such sub-folders. No file is opened. Classes are in the order of their
 * names' code units, images in the order of their paths. If there is no validation part, a share of each class is held
 * out according to the options.
 *
 * Links to files are followed, and so are links to folders that have not been read. A folder that several paths lead to is
 * read once, under its own path or else under the first link to it, so that its images belong to one class. Links that are
 * not followed (to a folder that contains the link, to a folder that was read already, to a missing target) are listed in
 * `skippedLinks` and in a process warning. A broken link with the name of an image is a missing image, which is reported
 * when it is read. Hidden files and files without an image extension are ignored and counted. Folders of training runs, and
 * those with runs only, are no classes; a process warning lists them.
 *
 * @throws VggError FILE_NOT_FOUND; FILE_FORMAT if there are no classes, if the training part has fewer classes than `leastClasses` or a class
 *   without an image, if the folder is above or below the one with the classes, or if the classes of val/ and train/ differ;
 *   INVALID_ARGUMENT
 */
export async function readFolder(folder: string, options: FolderOptions = {}): Promise<FolderParts> {
  filePath(folder, 'folder')
  const { classNames: expected, ...given } = readOptions(options, 'readFolder options', folderChecks)
  return readable(folder, async () => {
    const { entries: top } = await withoutRuns(folder, await entriesOf(folder))
    const parts = partsOf(top.folders)
    if (parts === undefined && expected === undefined) await checkNotParts(folder, top)
    const trainingFolder = parts === undefined ? folder : path.join(folder, parts.training)
    const skips = (name: string) => given.emptyClasses === 'skip' && expected?.includes(name) !== true
    const training = await readClasses(trainingFolder, { expected, leavesOut: skips })
    const { list, skippedClasses } = training
    if (expected === undefined) await checkClasses(training, trainingFolder, given.leastClasses)
    if (skippedClasses.length > 0)
      warn(`Classes without an image in ${trainingFolder} that were left out: ${joined(skippedClasses)}`)
    if (parts?.validation === undefined) {
      const { ignored, skippedLinks } = training
      return { ...splitPhotos(list, given.validation, given.seed), ignored, skippedLinks, skippedClasses }
    }
    const validationFolder = path.join(folder, parts.validation)
    const leavesOut = (name: string) => skippedClasses.includes(name)
    const validation = await readClasses(validationFolder, { expected, leavesOut })
    checkSameClasses(list, validation.list, validationFolder)
    return {
      training: list,
      validation: validation.list,
      ignored: training.ignored + validation.ignored,
      skippedLinks: [...training.skippedLinks, ...validation.skippedLinks],
      skippedClasses,
    }
  })
}

/**
 * Lists all image files of a folder and below it, without classes: those of the folder first, all in the order of their paths.
 * Links, hidden files and other files are treated as by {@link readFolder}.
 *
 * @throws VggError FILE_NOT_FOUND; FILE_FORMAT if there is no image; INVALID_ARGUMENT
 */
export async function imageFilesBelow(folder: string): Promise<string[]> {
  filePath(folder, 'folder')
  return readable(folder, async () => {
    const top = await entriesOf(folder)
    const walk = new FolderWalk()
    const below = await walk.imagesBelow(folder, top)
    warnOfLinks([...top.broken, ...walk.skipped])
    const found = [...top.images, ...below.flatMap(({ images }) => images)]
    if (found.length > 0) return found
    throw formatError(`Expected images (.jpg, .png, ...) in ${folder} or below it but found none`)
  })
}
