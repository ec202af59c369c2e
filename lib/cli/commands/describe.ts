import type { Command } from 'commander'
import pc from 'picocolors'
import { vggModel } from '../../checkpoint/model.js'
import { VggError } from '../../error.js'
import { describe } from '../../network/describe.js'
import type { Description } from '../../platform/native-description.js'
import { amountText, bytesText, type Column, columnsOf, countText, tableLines, wrapped } from '../../table.js'
import { adaptedConfiguration } from '../../vgg/adapted.js'
import { configurationFrom, modelTable, type VggConfiguration, vggLayers } from '../../vgg/configuration.js'
import type { HeadlessOptions, ModelOptions } from '../../vgg/options.js'
import type { Origin } from '../../vgg/origin.js'
import { variantLetter } from '../../vgg/variants.js'
import { withWeights } from '../../weights/open.js'
import {
  addDeviceFlags,
  addHeadFlag,
  addModelFlags,
  type DeviceFlags,
  defaultVariant,
  deviceOptions,
  given,
  type ModelFlags,
  number,
  source,
} from '../flags/flags.js'
import { factLines, originFacts, type PixelFacts, pixelsOf } from '../terminal/origin.js'
import { print, printJson } from '../terminal/print.js'

const examples = `
Examples:
  $ vggnet describe --variant D --classes 1000
  $ vggnet describe --variant D --head none --image-size 300
  $ vggnet describe vgg16-397923af.pth
  $ vggnet describe hf://timm/vgg16.tv_in1k --head none
  $ vggnet describe --variant VGG11 --image-size 32 --channels 1 --classes 10 --head-width 512 --training --batch 256
  $ vggnet describe --variant D --classes 1000 --device cuda --precision bf16 --training --batch 256 --json`

interface Flags extends ModelFlags, DeviceFlags {
  head?: 'none'
  batch: number
  training?: true
  json?: true
}

/** Adds `vggnet describe`: shows layers, memory and operations of a network without creating it. */
export function addDescribe(program: Command): void {
  const command = program
    .command('describe')
    .description('show the layers of a network, its parameters, memory and operations')
    .argument('[source]', 'a model, trained weights of another program, or hf://OWNER/NAME; default: the flags', source)
  addDeviceFlags(addHeadFlag(addModelFlags(command)), 'cpu')
    .option('--batch <n>', 'images computed at a time', number, 1)
    .option('--training', 'describe training instead of evaluation')
    .option('--json', 'one JSON object: parameters, layers, bytes, operations')
    .addHelpText('after', examples)
    .action(async (from: string | undefined, flags: Flags) => {
      const described = await describedBy(from, flags)
      if (flags.json) printJson(described, 2)
      else print(text(described))
    })
}

/** Output of `--json`, on whose names other programs rely. */
interface Described {
  variant: string
  /** 0 without a head. */
  classes: number
  /** Of a source: where its weights come from, and the images that they expect. */
  origin?: Origin
  pixels?: PixelFacts
  batch: number
  training: boolean
  /** Device, 'cpu' or 'cuda', and precision: 'bf16', 'tf32', 'float32'. */
  device: string
  precision: string
  /** Input shape [n, c, h, w]. */
  input: number[]
  /** Number of weights and biases. */
  parameters: number
  layers: {
    name: string
    kind: string
    input: number[]
    output: number[]
    parameters: number
    /** Multiply-adds of the forward pass, for the whole batch. */
    operations: number
  }[]
  /** Stages as the device runs them. */
  stages: {
    name: string
    /** Algorithms of the forward pass, the input gradient and the weight gradient. */
    algorithm: string
    /** Bytes kept from the forward to the backward pass, besides activations. */
    savedBytes: number
    workspaceBytes: number
  }[]
  /** Bytes in total: the sum of `memory`. */
  bytes: number
  memory: { parameters: number; gradientsAndVelocity: number; activationsAndWorkspace: number }
  /** Multiply-adds of the forward pass, for the whole batch. */
  operations: number
}

/** The options of the network that the flags describe. */
function optionsBy(flags: Flags): ModelOptions | HeadlessOptions {
  const variant = variantLetter(flags.variant ?? defaultVariant)
  const { channels, head, imageSize, classes = head === undefined ? 1000 : undefined } = flags
  const { width, headWidth, dropout, localNorm } = flags
  const options = given({ width, headWidth, dropout, localNorm, head, classes, channels, imageSize })
  return { ...options, variant } as ModelOptions
}

/** The network of a source of weights, changed by the flags. No weight is read. */
function networkOf(from: string, flags: Flags): Promise<VggConfiguration> {
  const other = (['variant', 'width', 'localNorm'] as const).find((name) => flags[name] !== undefined)
  if (other !== undefined) {
    const flag = modelTable[other].flag.replace(/ .*/, '')
    throw new VggError(
      'INVALID_ARGUMENT',
      `Expected no ${flag}, which ${from} determines, but received ${flags[other]}`,
    )
  }
  const { head, classes, headWidth, dropout, imageSize, channels } = flags
  return withWeights(from, { head }, async ({ model }) => {
    const { kind, classNames, ...own } = vggModel(model)
    const changes = given({ head, classes, headWidth, dropout, imageSize, channels })
    return adaptedConfiguration(configurationFrom(own), changes, classNames).configuration
  })
}

async function describedBy(from: string | undefined, flags: Flags): Promise<Described> {
  const { batch, training = false, exact = false } = flags
  const network = from === undefined ? configurationFrom(optionsBy(flags)) : await networkOf(from, flags)
  const { variant, channels, imageSize, origin } = network
  const layers = vggLayers(network)
  const input = [batch, channels, ...imageSize]
  const plan = describe({ layers, shape: input, training, exact, ...deviceOptions(flags) })
  return {
    variant: variant.name,
    classes: network.classes ?? 0,
    ...(from !== undefined && { ...(origin && { origin }), pixels: pixelsOf(network) }),
    batch,
    training,
    device: plan.device,
    precision: plan.precision,
    input,
    parameters: plan.parameterCount,
    layers: plan.layers.map(layerOf),
    stages: plan.stages.map(({ name, algorithm, savedBytes, workspaceBytes }) => ({
      name,
      algorithm,
      savedBytes,
      workspaceBytes,
    })),
    bytes: plan.totalBytes,
    memory: {
      parameters: plan.parameterBytes,
      gradientsAndVelocity: training ? plan.optimizerBytes : 0,
      activationsAndWorkspace: plan.arenaBytes,
    },
    operations: plan.multiplyAdds,
  }
}

function layerOf(layer: Description['layers'][number]): Described['layers'][number] {
  const { name, kind, input, output, parameters, multiplyAdds: operations } = layer
  return { name, kind, input, output, parameters, operations }
}

/** The algorithm of a layer's stage, at the first layer of the stage; else empty. */
function algorithmOf(layer: string, stages: Described['stages']): string {
  return stages.find(({ name }) => name.split('+')[0] === layer)?.algorithm ?? ''
}

const columns: readonly Column[] = [
  { title: 'layer', align: 'left' },
  { title: 'kind', align: 'left' },
  { title: 'output', align: 'right' },
  { title: 'parameters', align: 'right' },
  { title: 'multiply-adds', align: 'right' },
  { title: 'algorithm', align: 'left' },
]

/** Shape of one image as text: `64 x 224 x 224` for channels, height, width; a vector as its length. */
function shapeOf([, ...shape]: readonly number[]): string {
  const vector = shape.slice(1).every((side) => side === 1)
  return vector ? String(shape[0]) : shape.join(' x ')
}

function text(described: Described): string {
  const { layers, stages, memory, bytes, parameters, operations, batch, training, input } = described
  const { device, precision, origin, pixels } = described
  const width = columnsOf(process.stdout)
  const rows = layers.map((layer) => [
    layer.name,
    layer.kind,
    shapeOf(layer.output),
    layer.parameters === 0 ? '' : countText(layer.parameters),
    layer.operations === 0 ? '' : amountText(layer.operations),
    algorithmOf(layer.name, stages),
  ])
  const total = ['total', '', '', countText(parameters), amountText(operations)]
  const [titles = '', rule = '', ...body] = tableLines(columns, [...rows, total], width)
  const last = body.pop() ?? ''
  const mode = training ? 'training' : 'evaluation'
  const images = batch === 1 ? '1 image' : `${batch} images`
  const parts = [
    `parameters ${bytesText(memory.parameters)}`,
    ...(training ? [`gradients and velocity ${bytesText(memory.gradientsAndVelocity)}`] : []),
    `activations and workspace ${bytesText(memory.activationsAndWorkspace)}`,
  ]
  return [
    ...wrapped(
      pc.bold(`VGG ${described.variant}, ${described.classes === 0 ? 'no head' : `${described.classes} classes`}`) +
        pc.dim(` for ${images} of ${shapeOf(input)}, ${mode} on ${device} in ${precision}`),
      width,
    ),
    '',
    pc.bold(titles),
    pc.dim(rule),
    ...body,
    pc.dim(rule),
    pc.bold(last),
    '',
    ...(pixels ? [...factLines(originFacts(origin, pixels), width), ''] : []),
    ...wrapped(`memory ${pc.bold(bytesText(bytes))}: ${parts.join(', ')}`, width),
  ].join('\n')
}
