import path from 'node:path'
import { type Command, Option } from 'commander'
import type { DecodingOptions } from '../../data/images/formats.js'
import { VggError } from '../../error.js'
import { errorOfImage } from '../../evaluate/classify.js'
import type { ExplainedClass, ExplainMethod, Explanation } from '../../explain/explanation.js'
import { gradCam, guidedBackprop, saliency } from '../../explain/gradients.js'
import { occlusion } from '../../explain/occlusion.js'
import { drawExplanation, drawnBy } from '../../explain/overlay.js'
import { classIndex } from '../../explain/score.js'
import { checkNoLinks, makeFolder, writeAtomically } from '../../files/atomic-file.js'
import { exists } from '../../files/not-found.js'
import { closeRead, filled, openRegularFile } from '../../files/regular-file.js'
import { checkHead } from '../../network/arguments.js'
import { columnsOf, control, longestName, printable, tableLines } from '../../table.js'
import { valuesOf } from '../../tensor.js'
import { percent } from '../../train/log.js'
import type { VGG } from '../../vgg/vgg.js'
import { addDecodingFlags, type DecodingFlags, decodingOf } from '../flags/data-flags.js'
import {
  addDeviceFlags,
  addThreadsFlag,
  type DeviceFlags,
  deviceOptions,
  file,
  given,
  number,
  typedPath,
} from '../flags/flags.js'
import { failureText } from '../terminal/exit.js'
import { print, printJson } from '../terminal/print.js'
import { loadShown, waitingOn } from '../terminal/progress.js'

const examples = `
Writes for each image OUT/NAME-METHOD.png, the image beside the same image under
the colours of its map, and OUT/explanations.json. Images are read and cropped as
by vggnet classify. Files in OUT that this command has written are replaced; any
other file of such a name is an error.

A file that cannot be read is named on standard error and in the JSON. The other
files are explained. The exit code is then 1.

Examples:
  $ vggnet explain runs/photos holiday.jpg --out explained
  $ vggnet explain runs/photos photos/*.jpg --method occlusion --class cat --out explained`

interface Flags extends DeviceFlags, DecodingFlags {
  out: string
  method: ExplainMethod
  class?: string
  layer?: string
  patch?: number
  stride?: number
  json?: true
  threads?: number
}

/** Adds `vggnet explain`: draws which parts of images the score of a class depends on. */
export function addExplain(program: Command): void {
  const command = program
    .command('explain')
    .description('draw which parts of images the score of a class depends on')
    .argument('<model>', 'a model as for classify', typedPath)
    .argument('<image...>', 'image files as for classify')
    .requiredOption('--out <folder>', 'folder of the images and of explanations.json', file)
    .addOption(
      new Option('--method <name>', 'how the map is computed')
        .choices(Object.keys(methods))
        .default('grad-cam' satisfies ExplainMethod),
    )
    .option('--class <name>', 'class to explain, by its name or index (default: the predicted class of each image)')
    .option('--layer <name>', 'tensor for grad-cam, such as relu4_3 (default: the last convolution, after its ReLU)')
    .option('--patch <n>', 'side of the patch of occlusion in pixels (default: a quarter of the image)', number)
    .option('--stride <n>', 'pixels from one patch to the next (default: half of --patch)', number)
  addThreadsFlag(addDecodingFlags(addDeviceFlags(command, 'auto')))
    .option('--json', 'the content of explanations.json')
    .addHelpText('after', examples)
    .action(runExplain)
}

type Own = Pick<Flags, 'layer' | 'patch' | 'stride'>
type Explain = (net: VGG, image: string, options: DecodingOptions & { class?: number } & Own) => Promise<Explanation>

/** The methods, each with the flags that only it has. */
const methods: Readonly<Record<ExplainMethod, { explain: Explain; own: readonly (keyof Own)[] }>> = {
  'grad-cam': { explain: gradCam as Explain, own: ['layer'] },
  saliency: { explain: saliency, own: [] },
  'guided-backprop': { explain: guidedBackprop, own: [] },
  occlusion: { explain: occlusion, own: ['patch', 'stride'] },
}

/** The flags of a method. @throws INVALID_ARGUMENT for a flag without effect */
function ownFlags(flags: Flags): Own {
  const all = given({ layer: flags.layer, patch: flags.patch, stride: flags.stride })
  for (const name of Object.keys(all) as (keyof Own)[]) {
    if (methods[flags.method].own.includes(name)) continue
    const of = Object.entries(methods).find(([, { own }]) => own.includes(name))?.[0]
    const message = `Expected no --${name} with --method ${flags.method}: it is a flag of --method ${of}`
    throw new VggError('INVALID_ARGUMENT', message)
  }
  return all
}

/** An entry of explanations.json, on whose names other programs rely. */
type Entry = { file: string } & (
  | (ExplainedClass & { image: string; peak: { row: number; column: number; value: number }; imageSize: number[] })
  | { error: { code: string; message: string } }
)

async function runExplain(model: string, files: string[], flags: Flags): Promise<void> {
  const own = ownFlags(flags)
  const names = imageNames(files, flags.method)
  const list = path.join(flags.out, 'explanations.json')
  await makeFolder(flags.out)
  // before anything is computed
  for (const name of [list, ...names.map((one) => path.join(flags.out, one))]) await checkOwn(name)
  const net = await loadShown(model, { ...deviceOptions(flags), ...given({ threads: flags.threads }) })
  const waiting = waitingOn(process.stderr)
  try {
    checkHead(net, 'explain')
    const index = flags.class === undefined ? {} : { class: classOf(net, flags.class) }
    const entries: Entry[] = []
    const { explain } = methods[flags.method]
    for (const [position, source] of files.entries()) {
      waiting.update(flags.method, position, files.length)
      const name = names[position] ?? ''
      try {
        const explanation = await explain(net, source, { ...decodingOf(flags), ...index, ...own })
        const drawn = await drawExplanation(explanation, { title: path.basename(source) })
        await writeAtomically(path.join(flags.out, name), [drawn])
        entries.push({ file: source, image: name, ...summaryOf(explanation) })
      } catch (error) {
        const { code, message } = errorOfImage(error)
        entries.push({ file: source, error: { code, message } })
        print(failureText(error) ?? '', process.stderr)
        process.exitCode = 1
      }
    }
    const layer = flags.method === 'grad-cam' && { layer: flags.layer ?? null }
    const result = { writtenBy: drawnBy, method: flags.method, ...layer, ...own, explanations: entries }
    await writeAtomically(list, [Buffer.from(`${JSON.stringify(result, undefined, 2)}\n`)])
    waiting.end()
    if (flags.json) printJson(result, 2)
    else for (const line of textLines(entries, flags.out)) print(line)
  } finally {
    waiting.end()
    net.dispose()
  }
}

/** A class by its name, else by its index. */
function classOf(net: VGG, given: string): number {
  const isIndex = !net.classNames.includes(given) && /^\d+$/.test(given)
  return classIndex(net, isIndex ? Number(given) : given, '--class')
}

/** Longest name of an image in bytes, without the method: file systems allow 255 in all. */
const longest = 180

/** A name for each image: that of its file without control characters, and a number where several would have the same. */
function imageNames(files: readonly string[], method: ExplainMethod): string[] {
  const taken = new Set<string>()
  return files.map((source) => {
    let stem = path.parse(source).name.replaceAll(control, '_') || 'image'
    while (Buffer.byteLength(stem) > longest) stem = Array.from(stem).slice(0, -1).join('')
    const name = (count: number) => `${stem}${count === 1 ? '' : `-${count}`}-${method}.png`
    let count = 1
    while (taken.has(name(count))) count += 1
    taken.add(name(count))
    return name(count)
  })
}

/** Bytes in which the mark of {@link drawnBy} is searched. */
const head = 4096

/** Checks that a file does not exist, or was written by this command. @throws FILE_WRITE */
async function checkOwn(file: string): Promise<void> {
  await checkNoLinks([file])
  if (!(await exists(file))) return
  const handle = await openRegularFile(file).catch(() => {
    throw foreign(file)
  })
  const start = Buffer.alloc(head)
  const bytes = await filled(handle, start).catch(() => 0)
  await closeRead(handle)
  if (!start.subarray(0, bytes).includes(drawnBy)) throw foreign(file)
}

const foreign = (file: string): VggError =>
  new VggError(
    'FILE_WRITE',
    `Expected no file at ${file} that vggnet explain has not written: remove it, or choose another folder for --out`,
  )

function summaryOf({
  classes: [explained],
  maps,
}: Explanation): Omit<Extract<Entry, { image: string }>, 'file' | 'image'> {
  const values = valuesOf(maps)
  const [, height = 0, width = 0] = maps.shape
  const value = values.reduce((most, one) => Math.max(most, one), Number.NEGATIVE_INFINITY)
  const at = values.indexOf(value)
  const peak = { row: Math.floor(at / width), column: at % width, value }
  return { ...(explained as ExplainedClass), peak, imageSize: [height, width] }
}

const columns = [
  { title: 'file', align: 'left' },
  { title: 'class', align: 'left' },
  { title: 'probability', align: 'right' },
  { title: 'image', align: 'left' },
] as const

function textLines(entries: readonly Entry[], folder: string): string[] {
  const rows = entries.flatMap((entry) => {
    if (!('image' in entry)) return []
    const { file: source, class: name, probability, image } = entry
    return [
      [
        printable(source, longestName.file),
        printable(name, longestName.class),
        percent(probability),
        path.join(folder, image),
      ],
    ]
  })
  return rows.length === 0 ? [] : tableLines(columns, rows, columnsOf(process.stdout))
}
