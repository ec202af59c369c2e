import path from 'node:path'
import { VggError } from '../../error.js'
import { filePath, readOptions } from '../../options.js'
import { type PartOptions, type PhotoList, type PhotoParts, partChecks, splitPhotos } from './photo-list.js'
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
}

/**
 * Extensions of image files. Some formats are not decoded (BMP, HEIC; SVG by default): their files are reported as
 * unreadable, not ignored.
 */
const imageExtensions = new Set(
  '.jpg .jpeg .jpe .jfif .png .webp .gif .tif .tiff .avif .bmp .heic .heif .jxl .jp2 .ppm .pgm .pnm .svg'.split(' '),
)

const trainingNames = ['train', 'training']
/** Names of the validation part. If a folder has several of them, the first name here wins. */
const validationNames = ['val', 'validation', 'valid', 'test', 'testing']

const isImageName = (name: string): boolean => imageExtensions.has(path.extname(name).toLowerCase())

const formatError = (message: string): VggError => new VggError('FILE_FORMAT', message)

const joined = (names: readonly string[]): string =>
  names.length > 10 ? `${names.slice(0, 10).join(', ')} and ${names.length - 10} more` : names.join(', ')

interface Part {
  readonly list: PhotoList
  readonly ignored: number
  readonly skippedLinks: readonly SkippedLink[]
  /** Classes whose folder has no image. */
  readonly empty: readonly string[]
}

/** Lists the images of a folder that has a sub-folder for each class. */
async function readClasses(folder: string, expected?: readonly string[]): Promise<Part> {
  const top = await entriesOf(folder, isImageName)
  if (top.folders.length === 0) {
    const found = top.images.length === 0 ? 'no image' : `${top.images.length} images`
    throw formatError(
      `Expected a sub-folder for each class in ${folder} (such as cat/1.jpg and dog/1.jpg), or train/ and val/ with ` +
        `such sub-folders, but it has no sub-folder and ${found}`,
    )
  }
  const stray = expected === undefined ? [] : top.folders.filter((name) => !expected.includes(name))
  if (stray.length > 0)
    throw formatError(`Expected no other classes in ${folder} than the model's but found ${joined(stray)}`)
  const classNames = expected ?? top.folders
  const sources: string[] = []
  const labels: number[] = []
  const empty: string[] = []
  // Images next to the class folders belong to no class.
  let ignored = top.ignored + top.images.length
  const walk = new FolderWalk(isImageName)
  const found = await walk.imagesBelow(folder, top)
  const skippedLinks = [...top.broken, ...walk.skipped]
  warnOf(skippedLinks)
  for (const [index, name] of top.folders.entries()) {
    const below = found[index]
    ignored += below?.ignored ?? 0
    if (!below?.images.length) empty.push(name)
    const label = classNames.indexOf(name)
    for (const image of below?.images ?? []) {
      sources.push(image)
      labels.push(label)
    }
  }
  if (sources.length === 0) throw formatError(`Expected images in the folders of ${folder} but found none`)
  return {
    list: { sources, names: sources, labels: Int32Array.from(labels), classNames },
    ignored,
    skippedLinks,
    empty,
  }
}

function warnOf(links: readonly SkippedLink[]): void {
  if (links.length === 0) return
  const named = joined(links.map(({ path, reason }) => `${path} (${reason})`))
  process.emitWarning(`Links that were not followed: ${named}`, 'VggDataWarning')
}

/** Checks that there are at least two classes, with images of each, as training needs. */
function checkTrainable(part: Part, folder: string): void {
  const { classNames } = part.list
  if (classNames.length < 2) {
    throw formatError(`Expected sub-folders of at least two classes in ${folder} but found only ${joined(classNames)}`)
  }
  if (part.empty.length > 0)
    throw formatError(`Expected images of every class in ${folder} but ${joined(part.empty)} has none`)
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

/**
 * Returns the sub-folders of the two parts, or undefined if the sub-folders are classes. Without a validation folder,
 * train/ is a part only if it is the only sub-folder: among car/, plane/ and train/ it is a class.
 */
function partsOf(folders: readonly string[]): { training: string; validation?: string } | undefined {
  const find = (wanted: readonly string[]) =>
    wanted.flatMap((name) => folders.filter((folder) => folder.toLowerCase() === name))[0]
  const training = find(trainingNames)
  const validation = find(validationNames)
  if (training === undefined) return undefined
  if (validation !== undefined) return { training, validation }
  return folders.length === 1 ? { training } : undefined
}

async function readable<T>(folder: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    if (error instanceof VggError) throw error
    const { code, message, path: at = folder } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') throw new VggError('FILE_NOT_FOUND', `No folder at ${at}`, { cause: error })
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
 * when it is read. Hidden files and files without an image extension are ignored and counted.
 *
 * @throws VggError FILE_NOT_FOUND; FILE_FORMAT if there are no classes, if the training part has only one class or a class
 *   without an image, or if the classes of val/ and train/ differ; INVALID_ARGUMENT
 */
export async function readFolder(folder: string, options: PartOptions = {}): Promise<FolderParts> {
  filePath(folder, 'folder')
  const given = readOptions(options, 'readFolder options', partChecks)
  const expected = given.classNames
  return readable(folder, async () => {
    const parts = partsOf((await entriesOf(folder, isImageName)).folders)
    const trainingFolder = parts === undefined ? folder : path.join(folder, parts.training)
    const training = await readClasses(trainingFolder, expected)
    if (expected === undefined) checkTrainable(training, trainingFolder)
    if (parts?.validation === undefined) {
      const { ignored, skippedLinks } = training
      return { ...splitPhotos(training.list, given.validation, given.seed), ignored, skippedLinks }
    }
    const validationFolder = path.join(folder, parts.validation)
    const validation = await readClasses(validationFolder, expected)
    checkSameClasses(training.list, validation.list, validationFolder)
    return {
      training: training.list,
      validation: validation.list,
      ignored: training.ignored + validation.ignored,
      skippedLinks: [...training.skippedLinks, ...validation.skippedLinks],
    }
  })
}
