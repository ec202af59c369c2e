import type { Command } from 'commander'
import { Option } from 'commander'
import type { Dataset } from '../../data/dataset.js'
import { imageFilesBelow } from '../../data/sources/folder.js'
import { ofHead } from '../../embed/columns.js'
import { sourceFor, wholeImages } from '../../embed/embed.js'
import { type EmbeddedFile, embedSources } from '../../embed/embed-file.js'
import type { Aggregate, Normalise, Pool, Transform } from '../../embed/feature-description.js'
import { cropSource, type ImageSource } from '../../embed/image-source.js'
import { npyNames, writeNpy } from '../../embed/npy.js'
import { type EmbedSettings, embedTable, readEmbedOptions } from '../../embed/options.js'
import { VggError } from '../../error.js'
import { checkImageOptions, datasetsFor, sideOf } from '../../run/datasets.js'
import { type PartName, type ScoredImages, scoredImages } from '../../run/scored-images.js'
import { columnsOf, countedText, countText, wrapped } from '../../table.js'
import { deviceLine } from '../../train/log.js'
import type { VGG } from '../../vgg/vgg.js'
import { addDataFlags, type DataFlags, dataIfGiven, readingOf } from '../flags/data-flags.js'
import {
  addDeviceFlags,
  addTable,
  addThreadsFlag,
  checkFolderOf,
  type DeviceFlags,
  deviceOptions,
  file,
  given,
  names,
  numbers,
  source,
  typedPath,
} from '../flags/flags.js'
import { stoppable } from '../terminal/exit.js'
import { print, printJson } from '../terminal/print.js'
import { loadShown, waitingOn } from '../terminal/progress.js'
import { checkRead, unreadableLines } from '../terminal/unreadable.js'

const examples = `
With --scales, whole images are resized so that the smaller side has that length,
without a crop, and the network is applied at all positions (App. B of the paper).
Without, each image is the centre crop that vggnet evaluate takes.

Without DATA, all images of a run's own data are taken. DATA are classes as for
train; --unlabelled takes any folder of images.

Finished parts are kept in FILE.parts until FILE is written. After a crash or
Ctrl-C, the same command continues there, and writes the same bytes. With other
options, another model or another list of images it is refused.

An image that cannot be read is left out, named, and counted; the exit code is
then 1. With --on-unreadable skip it is 0; with --on-unreadable throw the command
ends at the first such image.

Examples:
  $ vggnet embed hf://timm/vgg16.tv_in1k photos --out photos.safetensors --scales 256,384,512 --flip
  $ vggnet embed runs/photos --layers relu5_3 --pool mean,max --transform log1p --out features.safetensors
  $ vggnet embed vgg16.safetensors holidays --unlabelled --out holidays.safetensors
  $ vggnet nearest holidays.safetensors beach.jpg`

interface Flags extends DataFlags, DeviceFlags {
  out: string
  layers?: string[]
  pool?: Pool[]
  transform?: Transform
  scales?: number[]
  aggregate?: Aggregate
  flip?: true
  normalise?: Normalise
  batch?: number
  part: PartName
  unlabelled?: true
  npy?: true
  threads?: number
  json?: true
}

/** Adds `vggnet embed`: computes features of images. */
export function addEmbed(program: Command): void {
  const command = program
    .command('embed')
    .description('compute features of images, for search, clustering and linear classifiers')
    .argument('<model>', 'a model as for classify', source)
    .argument('[data]', "a folder or a list of images, as for train (default: the run's own data)", typedPath)
    .requiredOption('--out <file>', 'features to write (safetensors)', file)
    .option('--npy', 'write FILE.npy and FILE.labels.npy too, for NumPy')
  addTable(command.optionsGroup('Features:'), embedTable, { layers: names, pool: names, scales: numbers })
  addDataFlags(command, { onUnreadable: 'skip, and exit code 1', emptyClasses: 'skip' }).addOption(
    new Option('--part <name>', 'part of the data').choices(['training', 'validation', 'all']).default('all'),
  )
  command.option('--unlabelled', 'take all images in the folder DATA and below it, without classes')
  addThreadsFlag(addDeviceFlags(command.optionsGroup('Computing:'), 'auto'))
    .option('--json', 'one JSON object: file, images, resumed, features, unreadable')
    .addHelpText('after', examples)
    .action(runEmbed)
}

async function runEmbed(model: string, data: string | undefined, flags: Flags): Promise<void> {
  const { out } = flags
  await checkFolderOf(out)
  const chosen = flags.unlabelled ? undefined : await labelled(model, data, flags)
  const head = flags.layers === undefined || ofHead(flags.layers) ? {} : ({ head: 'none' } as const)
  const net = await loadShown(model, { ...deviceOptions(flags), ...given({ threads: flags.threads }), ...head })
  try {
    const settings = settingsOf(net, flags)
    const sources = chosen ? sourcesOf(net, chosen, flags, settings) : await unlabelled(net, data, flags, settings)
    const found = await shown(net, sources, { model, flags, settings })
    if (flags.json) printJson({ file: out, ...jsonOf(found) })
    else for (const line of textLines(found, net, flags)) print(line)
    if (flags.onUnreadable !== 'skip') checkRead(found.images, found.unreadable)
  } finally {
    net.dispose()
  }
}

/** The images of data with classes. */
async function labelled(model: string, data: string | undefined, flags: Flags): Promise<ScoredImages> {
  const { classNames, emptyClasses, part } = flags
  const asked = given({ data: dataIfGiven(data, flags), classNames, emptyClasses })
  try {
    return await scoredImages({ model, ...asked, part })
  } catch (error) {
    if (!(error instanceof VggError) || error.code !== 'FILE_FORMAT' || asked.data?.kind !== 'folder') throw error
    const message = `${error.message}; --unlabelled takes all images in a folder and below it, without classes`
    throw new VggError(error.code, message, { cause: error })
  }
}

/** The images without classes below a folder. @throws INVALID_ARGUMENT for flags of data with classes */
async function unlabelled(net: VGG, data: string | undefined, flags: Flags, settings: EmbedSettings) {
  const { images, labels, valImages, valLabels, valList, classNames, emptyClasses, cache, part } = flags
  const given = { images, labels, valImages, valLabels, valList, classNames, emptyClasses, cache }
  const [name] = Object.entries(given).find(([, value]) => value !== undefined) ?? []
  if (name !== undefined || part !== 'all')
    throw refused(`${optionFlag(name ?? 'part')} with --unlabelled, which takes all images below a folder`)
  if (data === undefined) throw new VggError('INVALID_ARGUMENT', 'Expected DATA, a folder, for --unlabelled')
  return [sourceFor(net, await imageFilesBelow(data), settings)]
}

const optionFlag = (name: string): string => `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`

function settingsOf(net: VGG, flags: Flags): EmbedSettings {
  const { layers, pool, transform, scales, aggregate, flip, normalise, batch: batchSize } = flags
  const { onUnreadable: _, cache: __, ...reading } = readingOf(flags)
  const features = given({ layers, pool, transform, scales, aggregate, flip, normalise, batchSize })
  return readEmbedOptions(net, { ...features, ...reading, onUnreadable: flags.onUnreadable ?? 'skip' })
}

/** The images of the chosen parts. @throws INVALID_ARGUMENT for flags without effect */
function sourcesOf(net: VGG, { sources, parts, run }: ScoredImages, flags: Flags, settings: EmbedSettings) {
  const { scales, batchPixels, onUnreadable } = settings
  const photographs = { ...readingOf(flags), onUnreadable, randomCrop: false, flip: false, colour: false } as const
  checkImageOptions({ ...readingOf(flags), randomCrop: true, flip: true, colour: true }, sources.kind)
  const crops = datasetsFor(sources, { photographs, background: run?.background ?? 0 }, net)
  const smallestSide = sideOf(undefined, net.preprocessing, net.imageSize)
  return parts.flatMap((name): ImageSource[] => {
    const list = sources.kind === 'files' ? sources[name] : undefined
    if (scales === undefined) {
      const files = list && { files: list.sources, smallestSide }
      return [cropSource(crops[name] as Dataset, batchPixels, files)]
    }
    if (list === undefined) throw refused('--scales, which is for image files, with images of one size (IDX, CIFAR)')
    if (flags.cache !== undefined) throw refused('--cache, which holds crops, with --scales')
    return [wholeImages(net, list, settings, scales)]
  })
}

const refused = (what: string): VggError => new VggError('INVALID_ARGUMENT', `Expected no ${what}`)

/** Computes the features, with a bar on a terminal. */
async function shown(
  net: VGG,
  sources: readonly ImageSource[],
  { model, flags, settings }: { model: string; flags: Flags; settings: EmbedSettings },
): Promise<EmbeddedFile> {
  const waiting = waitingOn(process.stderr)
  const of = sources.reduce((sum, { count }) => sum + count, 0)
  const onProgress = ({ done }: { done: number }): void => waiting.update('images', done, of)
  try {
    const words = `finished parts are in ${flags.out}.parts; the same command continues`
    return await stoppable(async (signal) => {
      const onWritten = flags.npy && { onWritten: () => writeNpy(flags.out) }
      return embedSources(net, sources, flags.out, {
        settings: { ...settings, signal, onProgress },
        model,
        ...onWritten,
      })
    }, words)
  } finally {
    waiting.end()
  }
}

const jsonOf = ({ images, resumed, rowLength, unreadable }: EmbeddedFile) => ({
  images,
  resumed,
  features: rowLength,
  unreadable,
})

function textLines({ images, resumed, rowLength, unreadable }: EmbeddedFile, net: VGG, flags: Flags): string[] {
  const before = resumed === 0 ? '' : ` (${countText(resumed)} of them computed by an earlier run)`
  const { features, labels } = npyNames(flags.out)
  const files = [flags.out, ...(flags.npy ? [features, labels] : [])].join(', ')
  const text = `${countedText(images, 'image')} of ${countedText(rowLength, 'feature')}${before}: ${files}`
  const lines = [deviceLine(net), text].flatMap((line) => wrapped(line, columnsOf(process.stdout)))
  return [...lines, ...unreadableLines(unreadable)]
}
