import path from 'node:path'
import { VggError } from '../../error.js'
import { filePath, readOptions } from '../../options.js'
import { type PartOptions, type PhotoList, type PhotoParts, partChecks, splitPhotos } from './photo-list.js'
import { entriesOf, FolderWalk, type SkippedLink } from './walk.js'

/** What a folder holds. */
export interface FolderParts extends PhotoParts {
  /** Entries that were ignored: hidden ones, other extensions than an image's, neither file nor folder. */
  readonly ignored: number
  /**
   * Links that were not followed: to a folder that contains the link, to a folder that is read already in the same part,
   * or to nothing. A process warning of the type VggDataWarning names them too.
   */
  readonly skippedLinks: readonly SkippedLink[]
}

/**
 * Extensions that are taken for images. Some of these are not read (BMP, HEIC; SVG unless asked for): such files are
 * reported as unreadable instead of ignored.
 */
const imageExtensions = new Set(
  '.jpg .jpeg .jpe .jfif .png .webp .gif .tif .tiff .avif .bmp .heic .heif .jxl .jp2 .ppm .pgm .pnm .svg'.split(' '),
)

const trainingNames = ['train', 'training']
/** Where there are several the first of these is the validation part. */
const validationNames = ['val', 'validation', 'valid', 'test', 'testing']

const isImageName = (name: string): boolean => imageExtensions.has(path.extname(name).toLowerCase())

const wrong = (message: string): VggError => new VggError('FILE_FORMAT', message)

const few = (names: readonly string[]): string =>
  names.length > 10 ? `${names.slice(0, 10).join(', ')} and ${names.length - 10} more` : names.join(', ')

interface Part {
  readonly list: PhotoList
  readonly ignored: number
  readonly skippedLinks: readonly SkippedLink[]
  /** Classes with a folder but no image in it. */
  readonly empty: readonly string[]
}

/** The images of a folder that has a sub-folder for each class. */
async function readClasses(folder: string, expected?: readonly string[]): Promise<Part> {
  const top = await entriesOf(folder, isImageName)
  if (top.folders.length === 0) {
    const found = top.images.length === 0 ? 'no image' : `${top.images.length} images`
    throw wrong(
      `Expected a sub-folder for each class in ${folder} (such as cat/1.jpg and dog/1.jpg), or train/ and val/ with ` +
        `such sub-folders, but it has no sub-folder and ${found}`,
    )
  }
  const stray = expected === undefined ? [] : top.folders.filter((name) => !expected.includes(name))
  if (stray.length > 0) throw wrong(`Expected no other classes in ${folder} than the model's but found ${few(stray)}`)
  const classNames = expected ?? top.folders
  const sources: string[] = []
  const labels: number[] = []
  const empty: string[] = []
  // Images beside the class folders belong to no class.
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
  if (sources.length === 0) throw wrong(`Expected images in the folders of ${folder} but found none`)
  return {
    list: { sources, names: sources, labels: Int32Array.from(labels), classNames },
    ignored,
    skippedLinks,
    empty,
  }
}

function warnOf(links: readonly SkippedLink[]): void {
  if (links.length === 0) return
  const named = few(links.map(({ path, reason }) => `${path} (${reason})`))
  process.emitWarning(`Links that were not followed: ${named}`, 'VggDataWarning')
}

/** Classes that training needs: at least two, and images of each. */
function checkTrainable(part: Part, folder: string): void {
  const { classNames } = part.list
  if (classNames.length < 2) {
    throw wrong(`Expected sub-folders of at least two classes in ${folder} but found only ${few(classNames)}`)
  }
  if (part.empty.length > 0) throw wrong(`Expected images of every class in ${folder} but ${few(part.empty)} has none`)
}

function checkSameClasses(training: PhotoList, validation: PhotoList, folder: string): void {
  const onlyIn = (one: PhotoList, other: PhotoList) => one.classNames.filter((name) => !other.classNames.includes(name))
  const missing = onlyIn(training, validation)
  const added = onlyIn(validation, training)
  if (missing.length === 0 && added.length === 0) return
  const parts = [
    ...(missing.length > 0 ? [`lacks ${few(missing)}`] : []),
    ...(added.length > 0 ? [`has ${few(added)} besides`] : []),
  ]
  throw wrong(`Expected the classes of the training part in ${folder} too but it ${parts.join(' and ')}`)
}

/**
 * The sub-folders of the two parts, or undefined where the sub-folders are classes. train/ alone is a part only where
 * nothing lies beside it: among car/, plane/ and train/ it is a class.
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
 * The images of a folder: a sub-folder for each class, whose images may lie in further folders, or train/ and
 * val/ (also validation/, valid/, test/) with such sub-folders each. Nothing is opened yet. Classes are in the order of
 * their names' code units, images in the order of their paths.
 *
 * Links to files are followed, and links to folders that are not read yet: a folder that several paths lead to is read
 * once, under its own path or else under the first link to it, so that its images are of one class. Links that are not
 * followed (to a folder that contains the link, to a folder that is read already, to nothing) are in `skippedLinks` and
 * in a process warning. A link to nothing that is named as an image is a missing image, reported when it is read.
 * Hidden files and others than images, by extension, are ignored and counted. Where there is no validation part, a share of each class is held out as the options say.
 *
 * @throws VggError FILE_NOT_FOUND; FILE_FORMAT where there are no classes, only one, one without an image in the
 *   training part, or other classes in val/ than in train/; INVALID_ARGUMENT
 */
export async function readFolder(folder: string, options: PartOptions = {}): Promise<FolderParts> {
  filePath(folder, 'folder')
  const given = readOptions(options, 'readFolder options', partChecks)
  const expected = given.classNames
  return readable(folder, async () => {
    const parts = partsOf((await entriesOf(folder, isImageName)).folders)
    const position = parts === undefined ? folder : path.join(folder, parts.training)
    const training = await readClasses(position, expected)
    if (expected === undefined) checkTrainable(training, position)
    if (parts?.validation === undefined) {
      const { ignored, skippedLinks } = training
      return { ...splitPhotos(training.list, given.validation, given.seed), ignored, skippedLinks }
    }
    const beside = path.join(folder, parts.validation)
    const validation = await readClasses(beside, expected)
    checkSameClasses(training.list, validation.list, beside)
    return {
      training: training.list,
      validation: validation.list,
      ignored: training.ignored + validation.ignored,
      skippedLinks: [...training.skippedLinks, ...validation.skippedLinks],
    }
  })
}
