import type { Command } from 'commander'
import pc from 'picocolors'
import { type Column, columnsOf, countText, printable, tableLines } from '../../table.js'
import { sourceNames } from '../../weights/sources/sources.js'
import type { Difference, Distance } from '../../weights/verify/difference.js'
import { type Verification, verify } from '../../weights/verify/verify.js'
import { addDeviceFlags, addThreadsFlag, type DeviceFlags, deviceOptions, given, source } from '../flags/flags.js'
import { type Fact, factLines, originFacts, pixelsOf } from '../terminal/origin.js'
import { print, printJson } from '../terminal/print.js'
import { readingShown } from '../terminal/progress.js'
import { section } from '../terminal/sections.js'

const examples = `
Prints architecture, hash, figures of each parameter, and the activities of each
layer on an image that is the same everywhere: equal weights have equal figures.
Suspects what commonly goes wrong between programs: values that are not finite,
dead layers, random initial weights, blue and red exchanged, a wrong mean or
scale, and another order of the columns of fc6.

The exit code is 1 if anything is suspected, or if the network of --against
differs.

Examples:
  $ vggnet verify vgg16-397923af.pth
  $ vggnet verify converted.safetensors --against vgg16.h5
  $ vggnet verify runs/photos --json`

interface Flags extends DeviceFlags {
  against?: string
  source?: string
  threads?: number
  json?: true
}

/** Adds `vggnet verify`: checks that weights were read right. */
export function addVerify(program: Command): void {
  const command = program
    .command('verify')
    .description('check weights: hash, figures, activities, and what seems wrong')
    .argument('<source>', 'a file of weights, a model, the folder of a run, or hf://OWNER/NAME', source)
    .option('--against <source>', 'name the first layer in which another network differs, and by how much', source)
    .option(
      '--source <name>',
      `where the weights come from: ${sourceNames.join(', ')} (default: recognised by the names of the tensors)`,
    )
  addThreadsFlag(addDeviceFlags(command, 'cpu'))
    .option('--json', 'one JSON object: configuration, sha256, parameters, fingerprint, suspicions, difference')
    .addHelpText('after', examples)
    .action(runVerify)
}

async function runVerify(from: string, { json, ...flags }: Flags): Promise<void> {
  const { against, source: by, threads } = flags
  const options = { ...deviceOptions(flags), ...given({ against, source: by, threads }) }
  const found = await readingShown(from, (shown) => verify(from, { ...options, ...shown }))
  if (json) printJson(found, 2)
  else print(text(found, columnsOf(process.stdout)))
  if (found.suspicions.length > 0 || (found.difference && differs(found.difference))) process.exitCode = 1
}

const differs = ({ configuration, unmatched, parameters, activities }: Difference): boolean =>
  [configuration, unmatched, parameters, activities].some((list) => list.length > 0)

function text(found: Verification, width: number): string {
  const { suspicions, difference } = found
  const suspected = suspicions.length === 0 ? ['nothing'] : suspicions.map((text) => pc.yellow(printable(text)))
  return [
    ...factLines(factsOf(found), width),
    '',
    ...tableLines(weightColumns, weightRows(found), width),
    '',
    ...tableLines(activityColumns, activityRows(found), width),
    '',
    section('suspected', suspected, width),
    ...(difference ? [section('against', differenceFacts(difference), width)] : []),
  ].join('\n')
}

function factsOf({ configuration, sha256, parameterCount }: Verification): Fact[] {
  const { variant, classes, width, origin } = configuration
  const head = classes === undefined ? 'no head' : `${classes} classes`
  const narrow = width === 1 ? '' : `, width ${Number(width.toPrecision(6))}`
  const own: Fact[] = origin === undefined ? [['SHA-256', sha256 ?? 'not of one whole file']] : []
  return [
    ['network', `VGG ${variant.name}, ${head}${narrow}, ${countText(parameterCount)} parameters`],
    ...originFacts(origin, pixelsOf(configuration)),
    ...own,
  ]
}

const right = (title: string): Column => ({ title, align: 'right' })
const left = (title: string): Column => ({ title, align: 'left' })
const weightColumns = [left('weights of'), ...['mean', 'deviation', 'largest', 'zeros'].map(right)]
const activityColumns = [left('activities of'), ...['mean', 'deviation', 'largest', 'zeros', 'dead'].map(right)]

const shortText = (value: number): string => String(Number(value.toPrecision(3)))
const shareText = (share: number): string => `${(100 * share).toFixed(share === 0 || share === 1 ? 0 : 1)} %`

const weightRows = ({ parameters }: Verification): string[][] =>
  parameters
    .filter(({ name }) => name.endsWith('.weight'))
    .map(({ name, mean, deviation, largest, zeros }) => [
      name.replace('.weight', ''),
      ...[mean, deviation, largest].map(shortText),
      shareText(zeros),
    ])

const activityRows = ({ fingerprint }: Verification): string[][] =>
  fingerprint.map(({ name, mean, deviation, largest, zeros, dead }) => [
    name,
    ...[mean, deviation, largest].map(shortText),
    ...[zeros, dead].map(shareText),
  ])

const distanceText = ({ name, largest, relative }: Distance): string =>
  `${printable(name)} by ${shortText(largest)}, ${shortText(relative)} of its largest value`

function differenceFacts(difference: Difference): string[] {
  if (!differs(difference)) return ['equal: all parameters in every bit, and the activities of all layers']
  const { configuration, unmatched, parameters, activities } = difference
  const firstOf = (what: string, list: readonly Distance[]): string[] => {
    const [first] = list
    const more = list.length > 1 ? `; ${list.length - 1} more differ` : ''
    return first === undefined ? [`equal ${what}`] : [`${what} differ first in ${distanceText(first)}${more}`]
  }
  return [
    ...configuration.map((text) => printable(text)),
    ...(unmatched.length > 0 ? [`in one of them only: ${printable(unmatched.slice(0, 6).join(', '))}`] : []),
    ...firstOf('parameters', parameters),
    ...firstOf('activities', activities),
  ]
}
