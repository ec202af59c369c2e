import { type Command, Option } from 'commander'
import pc from 'picocolors'
import { withClasses } from '../../data/derived.js'
import { evaluationSide } from '../../data/images/crop.js'
import { type Evaluation, evaluateParts } from '../../evaluate/evaluate.js'
import { checkImageOptions, datasetsFor } from '../../run/datasets.js'
import type { RunDescription } from '../../run/description.js'
import { type PartName, type ScoredImages, scoredImages } from '../../run/scored-images.js'
import { columnsOf, countedText, printable, wrapped } from '../../table.js'
import { deviceLine, percent } from '../../train/log.js'
import type { VGG } from '../../vgg/vgg.js'
import { addDataFlags, type DataFlags, dataIfGiven, readingOf } from '../flags/data-flags.js'
import {
  addDeviceFlags,
  addThreadsFlag,
  type DeviceFlags,
  deviceOptions,
  given,
  number,
  typedPath,
} from '../flags/flags.js'
import { classLines } from '../terminal/metrics.js'
import { print, printJson } from '../terminal/print.js'
import { loadShown } from '../terminal/progress.js'
import { checkRead, unreadableLines } from '../terminal/unreadable.js'

const examples = `
Without DATA, a run is evaluated on the validation images of its own data;
--part chooses another part. Of other data, the validation part is evaluated
where it exists, else all images. The number of images that the run, or a run
that it started from, was trained on is reported; for a model file it is
unknown. Images are compared by file, also through links and other paths, and by
index in an IDX or CIFAR file; copies of a file count as other images.

An image that cannot be read is left out of the figures, named, and counted; the
exit code is then 1. With --on-unreadable skip it is 0; with --on-unreadable
throw the evaluation ends at the first such image. --json lists all of them.

Each image is scored on one centre crop, at the scale of the training (the
paper's S, the middle of a range).

Examples:
  $ vggnet evaluate runs/photos
  $ vggnet evaluate runs/photos --part all
  $ vggnet evaluate runs/photos other-photos
  $ vggnet evaluate model.safetensors list.csv --json`

interface Flags extends DataFlags, DeviceFlags {
  part?: PartName
  batch: number
  threads?: number
  json?: true
}

/** Adds `vggnet evaluate`: evaluates a model on labelled images. */
export function addEvaluate(program: Command): void {
  const command = program
    .command('evaluate')
    .description('evaluate a model on labelled images: accuracy, loss, per-class results')
    .argument(
      '<model>',
      'a saved model, the folder of a run (its best model), trained weights of another program, or hf://OWNER/NAME',
      typedPath,
    )
    .argument('[data]', "a folder or a list of images, as for train (default: the run's own data)", typedPath)
  addDataFlags(command, { onUnreadable: 'skip, and exit code 1', emptyClasses: 'skip' }).addOption(
    new Option('--part <name>', 'part of the data to evaluate (default: validation)').choices([
      'training',
      'validation',
      'all',
    ]),
  )
  addThreadsFlag(addDeviceFlags(command.optionsGroup('Computing:'), 'auto'))
    .option('--batch <n>', 'images computed at a time', number, 64)
    .option(
      '--json',
      'one JSON object: protocol, part, trainingImages, unknown, count, loss, top1, top5, perClass, confusion, unreadable',
    )
    .addHelpText('after', examples)
    .action(runEvaluate)
}

async function runEvaluate(model: string, data: string | undefined, flags: Flags): Promise<void> {
  const { classNames, emptyClasses, part } = flags
  const asked = given({ data: dataIfGiven(data, flags), classNames, emptyClasses, part })
  const chosen = await scoredImages({ model, ...asked })
  const photographs = readingFor(flags, chosen)
  const net = await loadShown(model, { ...deviceOptions(flags), ...given({ threads: flags.threads }) })
  try {
    const datasets = datasetsFor(chosen.sources, { photographs, background: chosen.run?.background ?? 0 }, net)
    const scored = chosen.parts.flatMap((name) => datasets[name] ?? []).map((one) => withClasses(one, net.classNames))
    const found = await evaluateParts(net, scored, { batch: flags.batch })
    const protocol = `${protocolOf(net)}; ${printable(chosen.text)}`
    if (flags.json) printJson({ protocol, ...trainedOnJson(chosen), ...found })
    else {
      const trainedOn = trainedOnLines(chosen, found.count + found.unreadable.length)
      const head = [deviceLine(net), protocol, ...trainedOn].flatMap((text) => wrapped(text, columnsOf(process.stdout)))
      print([...head, '', ...lines(found)].join('\n'))
    }
    if (flags.onUnreadable !== 'skip') checkRead(found.count, found.unreadable)
  } finally {
    net.dispose()
  }
}

/** Options for reading images in evaluation, which one unreadable image of many does not end. */
function readingFor(flags: Flags, { sources }: ScoredImages): RunDescription['photographs'] {
  const asked = readingOf(flags)
  checkImageOptions({ ...asked, randomCrop: true, flip: true, colour: true }, sources.kind)
  return { ...asked, onUnreadable: flags.onUnreadable ?? 'skip', randomCrop: false, flip: false, colour: false }
}

function trainedOnJson({ part, trainingImages, unknown }: ScoredImages) {
  return { part, trainingImages: trainingImages === 0 && unknown.length > 0 ? null : trainingImages, unknown }
}

function trainedOnLines({ trainingImages, unknown }: ScoredImages, count: number): string[] {
  const images = `of these ${countedText(count, 'image')}`
  const gaps = unknown.map((text) => pc.yellow(printable(text)))
  if (trainingImages === 0) return unknown.length > 0 ? gaps : [`the model was trained on none ${images}`]
  const known = `${unknown.length > 0 ? 'at least ' : ''}${trainingImages}`
  return [pc.yellow(`the model was trained on ${known} ${images}: the accuracy on new images may be lower`), ...gaps]
}

/** The evaluation protocol: accuracies of different protocols, such as the paper's, are not comparable. */
function protocolOf({ imageSize, preprocessing }: VGG): string {
  const [height, width] = imageSize
  const side = preprocessing?.smallestSide
  const scale = side === undefined ? '' : ` of the image rescaled to a smallest side of ${evaluationSide(side)}`
  return `protocol: single centre crop of ${height}x${width}${scale}`
}

function lines(found: Evaluation): string[] {
  const { count, top1, top5, loss, unreadable, perClass } = found
  // with five classes or fewer it is always 100 %
  const five = perClass.length > 5 ? `, top-5 ${percent(top5)}` : ''
  const sums = `${count} images: top-1 ${percent(top1)}${five}, loss ${loss.toFixed(4)}`
  const failed = unreadableLines(unreadable)
  if (count === 0) return failed
  return [pc.bold(sums), ...failed, '', ...classLines(found, 'images')]
}
