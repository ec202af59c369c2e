import type { Command } from 'commander'
import pc from 'picocolors'
import { withClasses } from '../data/classes.js'
import { evaluationSide } from '../data/view.js'
import { type Evaluation, evaluate } from '../evaluate/evaluate.js'
import type { Metrics } from '../evaluate/metrics.js'
import { datasetsFor } from '../run/datasets.js'
import { loadModel } from '../run/folder.js'
import { findSources } from '../run/sources.js'
import { type Column, tableLines } from '../table.js'
import { deviceLine, percent } from '../train/log.js'
import type { VGG } from '../vgg/vgg.js'
import { addDataFlags, type DataFlags, dataOf, readingOf } from './data-flags.js'
import { addDeviceFlags, type DeviceFlags, deviceOptions, given, number } from './flags.js'

const examples = `
The pictures for validation are used where the data have such a part, else all of them. A single crop: the middle of
the picture at the scale that the model was trained with (the paper's S, the middle of a range).

Examples:
  $ vggnet evaluate runs/photos photos
  $ vggnet evaluate model.safetensors list.csv --json`

interface Flags extends DataFlags, DeviceFlags {
  batch: number
  threads?: number
  json?: true
}

/** `vggnet evaluate`: how often a model is right about labelled pictures. */
export function addEvaluate(program: Command): void {
  const command = program
    .command('evaluate')
    .description('say how often a model is right about labelled pictures')
    .argument('<model>', 'a model that vggnet saved, or the folder of a run: its best model')
    .argument('[data]', 'a folder or a list of photographs, as for train')
  addDeviceFlags(addDataFlags(command).optionsGroup('Computing:'), 'auto')
    .option('--threads <n>', 'threads on the cpu', number)
    .option('--batch <n>', 'pictures computed at a time', number, 64)
    .option('--json', 'one JSON object: protocol, count, loss, top1, top5, perClass, confusion')
    .addHelpText('after', examples)
    .action(runEvaluate)
}

async function runEvaluate(model: string, data: string | undefined, flags: Flags): Promise<void> {
  const { classNames } = flags
  // nothing is held out: what is there is what the model is asked about
  const sources = await findSources({
    data: dataOf(data, flags),
    validation: 0,
    seed: 0,
    ...(classNames && { classNames }),
  })
  const net = await loadModel(model, { ...deviceOptions(flags), ...given({ threads: flags.threads }) })
  try {
    const photographs = { ...readingOf(flags), randomCrop: false, flip: false, colour: false }
    const { training, validation } = datasetsFor(sources, { photographs, background: 0 }, net)
    const judged = withClasses(validation ?? training, net.classNames)
    const found = await evaluate(net, judged, { batch: flags.batch })
    const protocol = protocolOf(net)
    if (flags.json) console.log(JSON.stringify({ protocol, ...found }))
    else console.log([deviceLine(net), protocol, '', ...lines(found)].join('\n'))
  } finally {
    net.dispose()
  }
}

/** A figure of the paper's tables and one of another protocol must never stand side by side unnamed. */
function protocolOf({ imageSize, preprocessing }: VGG): string {
  const [height, width] = imageSize
  const side = preprocessing?.smallestSide
  const scale = side === undefined ? '' : ` of the picture rescaled to a smallest side of ${evaluationSide(side)}`
  return `protocol: single centre crop of ${height}x${width}${scale}`
}

/** Classes of up to this many are shown with their confusions as a table. */
const widest = 12

function lines(found: Evaluation): string[] {
  const { count, top1, top5, loss, unreadable, perClass } = found
  // of five classes one is always among five
  const five = perClass.length > 5 ? `, top-5 ${percent(top5)}` : ''
  const sums = `${count} pictures: top-1 ${percent(top1)}${five}, loss ${loss.toFixed(4)}`
  const failed = unreadable.map(({ name, reason }) => `not read: ${name}: ${reason}`)
  return [pc.bold(sums), ...failed, '', ...tableLines(classColumns, classRows(found)), ...confusionLines(found)]
}

const left = (title: string): Column => ({ title, align: 'left' })
const right = (title: string): Column => ({ title, align: 'right' })
const classColumns = ['pictures', 'right', 'accuracy'].map(right)
classColumns.unshift(left('class'))
classColumns.push(left('most often taken for'))

function classRows({ perClass, confusion }: Metrics): string[][] {
  return perClass.map(({ name, count, correct, accuracy }, index) => {
    const others = (confusion[index] ?? []).map((times, other) => ({ times: other === index ? 0 : times, other }))
    const most = others.reduce((best, one) => (one.times > best.times ? one : best), { times: 0, other: -1 })
    const taken = most.times === 0 ? '' : `${perClass[most.other]?.name} (${most.times})`
    return [name, String(count), String(correct), count === 0 ? '' : percent(accuracy), taken]
  })
}

function confusionLines({ perClass, confusion }: Metrics): string[] {
  if (perClass.length > widest) return []
  const columns = [left('truth \\ answer'), ...perClass.map(({ name }) => right(name))]
  const rows = confusion.map((row, index) => [perClass[index]?.name ?? '', ...row.map(String)])
  return ['', ...tableLines(columns, rows)]
}
