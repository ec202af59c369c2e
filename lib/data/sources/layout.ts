import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { VggError } from '../../error.js'
import { longestName, printable } from '../../table.js'
import { type Entries, entriesOf } from './walk.js'

const formatError = (message: string): VggError => new VggError('FILE_FORMAT', message)

/** Names for a message; from the eleventh on only their count. */
export function joined(names: readonly string[]): string {
  const first = names.slice(0, 10).map((name) => printable(name, longestName.file))
  return names.length > 10 ? `${first.join(', ')} and ${names.length - 10} more` : first.join(', ')
}

const trainingNames = ['train', 'training']
/** Names of the validation part. If a folder has several of them, the first name here wins. */
const validationNames = ['val', 'validation', 'valid', 'test', 'testing']

/**
 * Returns the sub-folders of the two parts, or undefined if the sub-folders are classes. Without a validation folder,
 * train/ is a part only if it is the only sub-folder: among car/, plane/ and train/ it is a class.
 */
export function partsOf(folders: readonly string[]): { training: string; validation?: string } | undefined {
  const find = (wanted: readonly string[]) =>
    wanted.flatMap((name) => folders.filter((folder) => folder.toLowerCase() === name))[0]
  const training = find(trainingNames)
  const validation = find(validationNames)
  if (training === undefined) return undefined
  if (validation !== undefined) return { training, validation }
  return folders.length === 1 ? { training } : undefined
}

/** The layouts that are read, as the beginning of a message. */
const wanted = (folder: string): string =>
  `Expected a sub-folder for each class in ${folder} (cat/1.jpg, dog/2.jpg), or train/ and val/ with such sub-folders ` +
  '(train/cat/1.jpg, val/cat/2.jpg)'

/** Names of files that are data of another kind, and what to do with them. */
const otherData: readonly (readonly [RegExp, (name: string) => string])[] = [
  [/idx[13]-ubyte(\.gz)?$/, () => 'IDX files are given with --images FILE --labels FILE'],
  [/\.(csv|tsv)$/i, (name) => `a list of images is given itself: ${name}`],
  [/\/(data_batch_1|train)$/, () => "of CIFAR, the binary version is read, and this is Python's"],
  [/\.(zip|tar|tgz|gz|7z|rar)$/i, (name) => `unpack ${name} first`],
]

/** The folder above, if it has a sub-folder for each class, of which `folder` is one. */
async function foldersAbove(folder: string): Promise<string | undefined> {
  const { dir: above, base: own } = path.parse(path.resolve(folder))
  if ([...trainingNames, ...validationNames].includes(own.toLowerCase())) return undefined
  const { folders } = await entriesOf(above)
  const others = folders.filter((name) => name !== own)
  for (const name of others.slice(0, 20)) {
    if ((await entriesOf(path.join(above, name))).images.length > 0) return path.join(folder, '..')
  }
  return undefined
}

/** The error for a folder without sub-folders: one class, data of another kind, or nothing. */
export async function withoutClasses(folder: string, { images }: Entries): Promise<VggError> {
  if (images.length > 0) {
    const above = await foldersAbove(folder).catch(() => undefined)
    const cure = above === undefined ? '' : `; it seems to be one class of ${above}: give that folder`
    return formatError(`${wanted(folder)}, but it has no sub-folder and ${images.length} images${cure}`)
  }
  const files = (await readdir(folder)).map((name) => path.join(folder, name))
  const [cure = ''] = otherData.flatMap(([pattern, text]) => {
    const found = files.find((file) => pattern.test(file))
    return found === undefined ? [] : [`; ${text(found)}`]
  })
  return formatError(`${wanted(folder)}, but it has no sub-folder and no image${cure}`)
}

/** The error for a folder with one class, which may be a folder above the one that is meant. */
export async function oneClass(folder: string, name: string): Promise<VggError> {
  let below = path.join(folder, name)
  let entries = await entriesOf(below)
  while (entries.folders.length === 1 && entries.images.length === 0) {
    below = path.join(below, entries.folders[0] ?? '')
    entries = await entriesOf(below)
  }
  const cure = entries.folders.length > 1 ? `; ${below} has such sub-folders (${joined(entries.folders)}): give it` : ''
  return formatError(`${wanted(folder)}, and at least two classes, but found only ${name}${cure}`)
}

/** @throws FILE_FORMAT if a class has both a training and a validation part: they are above the classes */
export function checkNotAbove(folder: string, name: string, images: readonly string[]): void {
  const classFolder = path.join(folder, name)
  const below = new Set<string>()
  for (const image of images) {
    const end = image.indexOf('/', classFolder.length + 1)
    if (end !== -1) below.add(image.slice(classFolder.length + 1, end))
  }
  const parts = partsOf([...below])
  if (parts?.validation === undefined) return
  const { training, validation } = parts
  throw formatError(
    `${wanted(folder)}, but ${classFolder} has ${training}/ and ${validation}/ itself: give ${classFolder}, or move ` +
      `${training}/ and ${validation}/ above the classes`,
  )
}

/** Names like those of parts, which are not read as such: training_set, test-images. */
const partLike = /^(train|val|test|dev|eval)/i

/** @throws FILE_FORMAT if the sub-folders are parts by their names and have the same classes, such as training_set/ and test_set/ */
export async function checkNotParts(folder: string, { folders }: Entries): Promise<void> {
  if (folders.length < 2 || folders.length > 4 || !folders.every((name) => partLike.test(name))) return
  const entries = await Promise.all(folders.map((name) => entriesOf(path.join(folder, name))))
  const [first, ...others] = entries
  const shared = first?.folders.filter((name) => others.every((other) => other.folders.includes(name))) ?? []
  if (shared.length < 2 || entries.some(({ images }) => images.length > 0)) return
  throw formatError(
    `${wanted(folder)}, but ${joined(folders)} have the same classes each (${joined(shared)}): rename them to train ` +
      'and val, or give one of them',
  )
}
