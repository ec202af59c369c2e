import type { Command } from 'commander'
import pc from 'picocolors'
import { ofHead } from '../../embed/columns.js'
import { embedLike, type QueryFeatures } from '../../embed/embed-like.js'
import type { FeatureDescription } from '../../embed/feature-description.js'
import { FeatureFile } from '../../embed/feature-file.js'
import { type Neighbour, nearest, nearestChecks } from '../../embed/nearest.js'
import { VggError } from '../../error.js'
import { columnsOf, longestName, printable, tableLines } from '../../table.js'
import { addDecodingFlags, type DecodingFlags, decodingOf } from '../flags/data-flags.js'
import {
  addDeviceFlags,
  addThreadsFlag,
  checked,
  type DeviceFlags,
  deviceOptions,
  file,
  given,
  number,
  source,
} from '../flags/flags.js'
import { print, printJson } from '../terminal/print.js'
import { loadShown } from '../terminal/progress.js'
import { unreadableLines } from '../terminal/unreadable.js'

const examples = `
The features of each IMAGE are computed as those of the file were: with the same
model, layers and scales. All images of the file are compared with it, by the
cosine of the angle between the features. The file is read in blocks, so that
memory does not depend on its size.

The model is read from the path that the file records, or from --model; its hash
is compared with that of the file. Names of images are printed as vggnet embed
has read them: relative to the folder in which it was called.

An image that cannot be read is left out and named; the exit code is then 1.

Examples:
  $ vggnet nearest photos.safetensors holiday.jpg
  $ vggnet nearest photos.safetensors *.jpg --top 10 --json`

interface Flags extends DeviceFlags, DecodingFlags {
  top: number
  model?: string
  threads?: number
  json?: true
}

/** Adds `vggnet nearest`: finds the images whose features are most similar. */
export function addNearest(program: Command): void {
  const command = program
    .command('nearest')
    .description('find the images of a file of features that are most similar to others')
    .argument('<features>', 'a file that vggnet embed has written', file)
    .argument('<image...>', 'image files as for classify')
    .option('--top <k>', 'number of images to print', checked(number, nearestChecks.top, '--top'), 5)
    .option('--model <model>', 'a model as for classify (default: the path that the file records)', source)
  addThreadsFlag(addDecodingFlags(addDeviceFlags(command, 'auto')))
    .option('--json', 'one JSON array: file, and nearest (index, name, class, similarity) or error')
    .addHelpText('after', examples)
    .action(runNearest)
}

async function runNearest(features: string, images: string[], flags: Flags): Promise<void> {
  const description = await descriptionOf(features)
  const queries = await queriesOf(description, images, flags)
  const { names, unreadable } = queries
  const found = names.length === 0 ? [] : await nearest(features, queries.features, { top: flags.top })
  const results = names.map((name, index) => ({ file: name, nearest: found[index] ?? [] }))
  if (flags.json) printJson([...results, ...unreadable.map(({ name, reason }) => ({ file: name, error: reason }))], 2)
  else for (const line of [...results.flatMap(textLines), ...unreadableLines(unreadable)]) print(line)
  if (unreadable.length > 0) process.exitCode = 1
}

async function descriptionOf(features: string): Promise<FeatureDescription> {
  const opened = await FeatureFile.open(features)
  await opened.close()
  return opened.description
}

async function queriesOf(description: FeatureDescription, images: string[], flags: Flags): Promise<QueryFeatures> {
  const model = flags.model ?? description.model.path
  if (model === null) {
    const message = 'Expected --model, since the features do not record where their model was loaded from'
    throw new VggError('INVALID_ARGUMENT', message)
  }
  const head = ofHead(description.layers) ? {} : ({ head: 'none' } as const)
  const net = await loadShown(model, { ...deviceOptions(flags), ...given({ threads: flags.threads }), ...head })
  try {
    return await embedLike(net, description, images, decodingOf(flags))
  } finally {
    net.dispose()
  }
}

const columns = [
  { title: 'similarity', align: 'right' },
  { title: 'class', align: 'left' },
  { title: 'file', align: 'left' },
] as const

function textLines({ file: query, nearest: found }: { file: string; nearest: readonly Neighbour[] }): string[] {
  const rows = found.map(({ similarity, class: name, name: image }) => [
    similarity.toFixed(4),
    printable(name ?? '', longestName.class),
    printable(image, longestName.file),
  ])
  return [pc.bold(printable(query, longestName.file)), ...tableLines(columns, rows, columnsOf(process.stdout)), '']
}
