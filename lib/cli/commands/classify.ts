import type { Command } from 'commander'
import pc from 'picocolors'
import { evaluationSide } from '../../data/images/crop.js'
import type { DecodingOptions } from '../../data/images/formats.js'
import { type ImageSize, readImage } from '../../data/images/image.js'
import { VggError } from '../../error.js'
import { checkScores } from '../../evaluate/metrics.js'
import { integer } from '../../options.js'
import { loadModel } from '../../run/folder.js'
import { Tensor } from '../../tensor.js'
import { deviceLine, percent } from '../../train/log.js'
import type { VGG } from '../../vgg/vgg.js'
import { addDecodingFlags, type DecodingFlags, decodingOf } from '../flags/data-flags.js'
import {
  addDeviceFlags,
  addThreadsFlag,
  type DeviceFlags,
  deviceOptions,
  given,
  number,
  typedPath,
} from '../flags/flags.js'

const examples = `
Each image is rescaled to the scale of the training (the paper's S, the middle
of a range), or else to cover the network's input size; its proportions are
kept, and the centre crop is classified.

Examples:
  $ vggnet classify digits.safetensors seven.png
  $ vggnet classify runs/photos photos/*.jpg --top 3 --json`

interface Flags extends DeviceFlags, DecodingFlags {
  top: number
  json?: true
  threads?: number
}

/** A predicted class with its probability. */
interface Answer {
  class: string
  index: number
  /** Probability, 0 to 1. */
  probability: number
}

/** Adds `vggnet classify`: classifies image files with a saved model. */
export function addClassify(program: Command): void {
  const command = program
    .command('classify')
    .description('classify images with a saved model')
    .argument('<model>', 'a saved model, or the folder of a run (its best model)', typedPath)
    .argument('<image...>', 'image files: PNG, JPEG, WebP, GIF, AVIF, TIFF; SVG with --formats svg')
    .option('--top <k>', 'number of most probable classes to print', number, 1)
  addThreadsFlag(addDecodingFlags(addDeviceFlags(command, 'auto')))
    .option('--json', 'one JSON array: file, answers')
    .addHelpText('after', examples)
    .action(classify)
}

/** Images computed at a time: enough to keep a processor busy, and few enough for little memory. */
const batch = 16

async function classify(model: string, files: string[], flags: Flags): Promise<void> {
  const net = await loadModel(model, { ...deviceOptions(flags), ...given({ threads: flags.threads }) })
  if (process.stderr.isTTY && !flags.json) console.error(pc.dim(deviceLine(net)))
  try {
    const top = integer(1, net.classes)(flags.top, '--top')
    const found: { file: string; answers: Answer[] }[] = []
    for (let start = 0; start < files.length; start += batch) {
      found.push(...(await answersFor(net, files.slice(start, start + batch), top, decodingOf(flags))))
    }
    const nameWidth = Math.max(...files.map((file) => file.length))
    const lines = found.map(({ file, answers }) => `${file.padEnd(nameWidth)}  ${answersText(answers)}`)
    console.log(flags.json ? JSON.stringify(found, null, 2) : lines.join('\n'))
  } finally {
    net.dispose()
  }
}

function sizeOf(net: VGG): ImageSize {
  const [height, width] = net.imageSize
  const { channels } = net
  if (channels === 1 || channels === 3) return { height, width, channels }
  throw new VggError('SHAPE_MISMATCH', `Expected a model for 1 or 3 channels but it takes ${channels}`)
}

async function answersFor(net: VGG, files: readonly string[], top: number, decoding: DecodingOptions) {
  const size = sizeOf(net)
  const side = net.preprocessing?.smallestSide
  const options = { ...decoding, ...(side !== undefined && { smallestSide: evaluationSide(side) }) }
  const bytes = size.height * size.width * size.channels
  const pixels = new Uint8Array(files.length * bytes)
  for (const [index, file] of files.entries()) pixels.set(await readImage(file, size, options), index * bytes)
  const images = Tensor.from(pixels, [files.length, size.height, size.width, size.channels])
  const scores = await net.forward(images)
  const values = await scores.data()
  files.forEach((file, row) => {
    checkScores(values.subarray(row * net.classes, (row + 1) * net.classes), file)
  })
  const rows = await (await scores.softmax()).topk(top)
  return files.map((file, index) => ({ file, answers: (rows[index] ?? []).map((row) => answerOf(net, row)) }))
}

function answerOf(net: VGG, { index, value }: { index: number; value: number }): Answer {
  return { class: net.classNames[index] ?? String(index), index, probability: value }
}

function answersText(answers: readonly Answer[]): string {
  return answers
    .map((answer, rank) => `${rank === 0 ? pc.bold(answer.class) : answer.class} ${percent(answer.probability)}`)
    .join('  ')
}
