import { messageOf, VggError } from '../error.js'
import { type Layer, type Parameter, parametersOf } from '../layer.js'
import { elementCount, shapeText } from '../tensor.js'
import { meanOf } from '../vgg/adapted.js'
import { configurationFrom, type VggConfiguration, vggLayers } from '../vgg/configuration.js'
import { type Variant, variants } from '../vgg/variants.js'
import { type ForeignTensor, floatTypes, type WeightFile } from './containers/weight-file.js'
import type { Source, WantedTensor } from './sources/source.js'
import { sources } from './sources/sources.js'

/** What a file of another program is. */
export interface Deduced {
  readonly source: Source
  readonly configuration: VggConfiguration
  /** The tensor in the file of each parameter, by the parameter's name. */
  readonly tensors: ReadonlyMap<string, ForeignTensor>
}

/** Which part of a file is wanted, and as what it is read. */
export interface Reading {
  /** 'none': the tensors of the head are not looked at. */
  readonly head?: 'none' | undefined
  /** Name of the source, where the file does not tell. */
  readonly source?: string | undefined
}

/** A variant of Table 1 read by the names of a source, and how much of it a file has. */
interface Candidate {
  readonly source: Source
  readonly variant: Variant
  readonly wanted: readonly WantedTensor[]
  readonly found: ReadonlyMap<string, ForeignTensor>
  /** Weights of convolutions, all and those found. */
  readonly convolutions: number
  readonly fitting: number
}

/** What is known of a file before a tensor is read. */
type FileIndex = Pick<WeightFile, 'container' | 'tensors' | 'layers' | 'metadata'>

/** Prefixes of all names in files of wrapped models: DataParallel, torch.compile. */
const prefixes = ['module.', '_orig_mod.']

const nameOf = ({ layer, part }: WantedTensor): string => `${layer}.${part}`

/** Number of elements of a tensor. */
const countOf = ({ shape }: ForeignTensor): number => elementCount(shape)

/**
 * Finds out which VGG net the tensors of a file are, and of which source.
 * @throws FILE_FORMAT for another family of networks, and for tensors that are missing, unknown or wrongly shaped, each named
 */
export function deduced(file: FileIndex, reading: Reading): Deduced {
  const tensors = withoutPrefix(file.tensors)
  const best = bestOf(candidates(tensors, file, reading))
  if (best === undefined || best.fitting * 2 < best.convolutions) throw otherFamily(tensors)
  const { source } = best
  const refusal = source.refusal?.(file, reading.head)
  if (refusal !== undefined) throw new VggError('FILE_FORMAT', `It is ${source.title}, but ${refusal}`)
  return fitted(best, tensors, reading)
}

/** The tensors by their names without a prefix that all of them have. */
function withoutPrefix(tensors: readonly ForeignTensor[]): Map<string, ForeignTensor> {
  let named = tensors.map((tensor) => [tensor.name, tensor] as const)
  for (let prefix = commonPrefix(named); prefix !== undefined; prefix = commonPrefix(named)) {
    const { length } = prefix
    named = named.map(([name, tensor]) => [name.slice(length), tensor] as const)
  }
  return new Map(named)
}

const commonPrefix = (named: readonly (readonly [string, ForeignTensor])[]): string | undefined =>
  prefixes.find((prefix) => named.length > 0 && named.every(([name]) => name.startsWith(prefix)))

function candidates(tensors: ReadonlyMap<string, ForeignTensor>, file: FileIndex, reading: Reading): Candidate[] {
  const named = sources.filter(({ name }) => reading.source === undefined || name === reading.source)
  const fitting = named.filter(({ containers }) => containers.includes(file.container))
  const all = fitting.flatMap((source) =>
    tables().map(({ variant, wanted }) => {
      const pairs = wanted.flatMap((one) => {
        const name = source.names(one).find((other) => tensors.has(other))
        const tensor = name === undefined ? undefined : tensors.get(name)
        return tensor === undefined ? [] : [[one, tensor] as const]
      })
      const weights = wanted.filter(({ kind, part }) => kind === 'convolution' && part === 'weight')
      const fits = pairs.filter(([one, tensor]) => weights.includes(one) && kernelOf(source, tensor) === one.kernel)
      const found = new Map(pairs.map(([one, tensor]) => [nameOf(one), tensor]))
      return { source, variant, wanted, found, convolutions: weights.length, fitting: fits.length }
    }),
  )
  return all.filter((candidate) => reading.source !== undefined || hasItsClasses(candidate))
}

/** Whether a file has the number of outputs of a source that is known by it. */
function hasItsClasses({ source, found }: Candidate): boolean {
  const outputs = found.get('fc8.bias')
  return source.classes === undefined || (outputs !== undefined && countOf(outputs) === source.classes)
}

let memo: readonly { variant: Variant; wanted: readonly WantedTensor[] }[] | undefined

/** The weights and biases of each variant that other programs have: all but A-LRN, whose tensors are those of A. */
function tables() {
  memo ??= Object.values(variants)
    .filter(({ name }) => name !== 'A-LRN')
    .map((variant) => ({ variant, wanted: wantedTensors(vggLayers(configurationFrom({ variant, classes: 1 }))) }))
  return memo
}

function wantedTensors(layers: readonly Layer[]): WantedTensor[] {
  const counts = { convolution: 0, linear: 0 }
  return layers.flatMap((layer) => {
    if (layer.kind !== 'convolution' && layer.kind !== 'linear') return []
    const index = counts[layer.kind]++
    const kernel = layer.kind === 'convolution' ? layer.kernel : 0
    const shared = { layer: layer.name, kind: layer.kind, index, kernel, layers }
    return [
      { ...shared, part: 'weight' },
      { ...shared, part: 'bias' },
    ] as const
  })
}

/** The side of the kernel of a convolution's weight; undefined if it is none. */
function kernelOf({ convolution }: Source, { shape }: ForeignTensor): number | undefined {
  const [height, width] = convolution === 'oihw' ? shape.slice(2) : shape
  return shape.length === 4 && height === width ? height : undefined
}

/** The candidate of the largest network that the file has as a whole; else the one of which it has most. */
function bestOf(found: readonly Candidate[]): Candidate | undefined {
  const share = ({ fitting, convolutions }: Candidate): number => fitting / convolutions
  const better = (a: Candidate, b: Candidate): Candidate => {
    const order = share(b) - share(a) || b.fitting - a.fitting || b.found.size - a.found.size
    return order > 0 ? b : a
  }
  return found.length === 0 ? undefined : found.reduce(better)
}

/** A few names of many. */
function some(names: readonly string[]): string {
  const shown = names.slice(0, 6).join(', ')
  return names.length > 6 ? `${shown} and ${names.length - 6} more` : shown
}

function otherFamily(tensors: ReadonlyMap<string, ForeignTensor>): VggError {
  const names = [...tensors.keys()]
  const what = names.length === 0 ? 'no tensors' : `${names.length} tensors: ${some(names)}`
  const known = sources.flatMap(({ title, isRefused }) => (isRefused ? [] : [title])).join(', ')
  return new VggError('FILE_FORMAT', `Expected the weights of a VGG net (${known}) but it has ${what}`)
}

/** The network of a candidate, with every tensor checked against it. */
function fitted(best: Candidate, tensors: ReadonlyMap<string, ForeignTensor>, reading: Reading): Deduced {
  const { source, wanted, found } = best
  const withHead = reading.head !== 'none' && wanted.some((one) => one.kind === 'linear' && found.has(nameOf(one)))
  const own = wanted.filter(({ kind }) => kind === 'convolution' || withHead)
  const missing = own.filter((one) => !found.has(nameOf(one))).map((one) => source.names(one)[0] ?? nameOf(one))
  const known = new Set(found.values())
  const extra = [...tensors].filter(([name, tensor]) => !known.has(tensor) && !source.ignored?.test(name))
  const isOfHead = (name: string): boolean =>
    wanted.some((one) => one.kind === 'linear' && source.names(one).includes(name))
  const problems = [
    missing.length > 0 && `missing: ${some(missing)}`,
    reading.head !== 'none' && extra.length > 0 && `unknown: ${some(extra.map(([name]) => name))}`,
  ].filter((problem) => problem !== false)
  const cure = missing.length > 0 && missing.every(isOfHead) ? "; head: 'none' loads the convolutions only" : ''
  if (problems.length > 0) throw misfit(best, problems, cure)
  const configuration = checkedConfiguration(best, withHead)
  const used = new Map(own.map((one) => [nameOf(one), found.get(nameOf(one)) as ForeignTensor]))
  const wrong = parametersOf(vggLayers(configuration)).flatMap((parameter) => wrongShape(best, parameter, used))
  if (wrong.length > 0) throw misfit(best, [`of another shape or type: ${some(wrong)}`], '')
  return { source, configuration, tensors: used }
}

function misfit({ source, variant }: Candidate, problems: readonly string[], cure: string): VggError {
  const what = `Expected the tensors of ${source.title}, configuration ${variant.name}`
  return new VggError('FILE_FORMAT', `${what}, but these do not fit: ${problems.join('; ')}${cure}`)
}

/** Lengths of a tensor's axes in our order: [o, i, h, w] of a convolution, [o, i] of a linear layer, [o] of a bias. */
function logicalShape({ source }: Candidate, { shape }: Parameter, tensor: ForeignTensor): readonly number[] {
  const count = countOf(tensor)
  if (shape.length === 1) return [count]
  if (shape.length === 4) {
    const [height = 0, width = 0, inputs = 0, outputs = 0] = tensor.shape
    return source.convolution === 'oihw' ? tensor.shape : [outputs, inputs, height, width]
  }
  // Caffe's legacy blobs begin with axes of length 1
  const longer = tensor.shape.filter((length) => length > 1)
  const outputs = (source.linear === 'oi' ? longer[0] : tensor.shape.at(-1)) ?? 1
  return shape[0] === 1 ? [1, count] : [outputs, count / outputs]
}

function wrongShape(best: Candidate, parameter: Parameter, used: ReadonlyMap<string, ForeignTensor>): string[] {
  const tensor = used.get(parameter.name) as ForeignTensor
  const shape = logicalShape(best, parameter, tensor)
  const isFloat = floatTypes.some((type) => type === tensor.type)
  if (isFloat && shapeText(shape) === shapeText(parameter.shape)) return []
  const found = isFloat ? shapeText(tensor.shape) : `${shapeText(tensor.shape)} of type ${tensor.type}`
  return [`${tensor.name} is ${found}, for ${parameter.name} of ${shapeText(parameter.shape)}`]
}

/** The configuration that the shapes give. @throws FILE_FORMAT for shapes that no network has, such as an axis of length 0 */
function checkedConfiguration(best: Candidate, withHead: boolean): VggConfiguration {
  try {
    return configurationOf(best, withHead)
  } catch (cause) {
    throw misfit(best, [`impossible shapes: ${messageOf(cause)}`], '')
  }
}

function configurationOf(best: Candidate, withHead: boolean): VggConfiguration {
  const { source, variant, wanted, found } = best
  const sizeOf = (layer: string): number => countOf(found.get(`${layer}.bias`) as ForeignTensor)
  const convolutions = wanted.filter(({ kind, part }) => kind === 'convolution' && part === 'weight')
  const [first, last] = [convolutions[0]?.layer ?? '', convolutions.at(-1)?.layer ?? '']
  const firstShape = found.get(`${first}.weight`)?.shape ?? []
  const channels = (source.convolution === 'oihw' ? firstShape[1] : firstShape[2]) ?? 0
  const outputs = sizeOf(last)
  const { meanRgb, scale, smallestSide } = pixelsFor(source, channels)
  const trunk = { variant, channels, width: outputs / (variant.channels.at(-1) ?? 1), meanRgb, scale }
  const preprocessing = { smallestSide }
  if (!withHead) return configurationFrom({ ...trunk, head: 'none', preprocessing })
  const [height, width] = windowOf(found.get('fc6.weight') as ForeignTensor, sizeOf('fc6'), outputs)
  const imageSize = [height * 32, width * 32] as const
  const usual = height === 7 && width === 7
  const head = { classes: sizeOf('fc8'), headWidth: sizeOf('fc6'), imageSize }
  return configurationFrom({ ...trunk, ...head, ...(usual && { preprocessing }) })
}

/** Window of fc6: the last axes of its weight if it has four, else a square. */
function windowOf(weight: ForeignTensor, outputs: number, channels: number): readonly [number, number] {
  const [o, c, height = 0, width = 0] = weight.shape
  if (weight.shape.length === 4 && o === outputs && c === channels) return [height, width]
  const side = Math.round(Math.sqrt(countOf(weight) / outputs / channels)) || 1
  return [side, side]
}

/** Mean and scale of a source; for other than three channels one of each, which is the mean of those of the source. */
function pixelsFor({ pixels }: Source, channels: number) {
  if (channels === 3) return pixels
  return { ...pixels, meanRgb: meanOf(pixels.meanRgb), scale: meanOf(pixels.scale) }
}
