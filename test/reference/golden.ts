import { readFileSync } from 'node:fs'
import type { Layer } from '../../lib/layer.js'
import type { VariantLetter } from '../../lib/vgg/variants.js'
import { formulaBytes, formulaValues } from './formula.js'
import { imagesToTensor } from './input.js'
import { parameterShapes } from './network.js'
import { elementCount, type Shape, type Tensor64, tensorOf } from './tensor.js'

/** What generate.py says of a golden's network; everything else follows from the formula. */
export interface GoldenCase {
  readonly name: string
  /** First part of the names of the formula's streams. */
  readonly stream: string
  readonly variant: VariantLetter
  readonly width: number
  readonly headWidth: number
  readonly classes: number
  readonly imageSize: number
  readonly batch: number
  readonly pixels: 'uint8' | 'float32'
  readonly imageExponent: number
  readonly labels: readonly number[]
  /** Of each parameter's formula. */
  readonly exponents: Readonly<Record<string, number>>
  readonly layers: readonly Layer[]
  readonly loss: number
  /** Small goldens only. */
  readonly losses: readonly number[]
  readonly sgd: { readonly momentum: number; readonly weightDecay: number; readonly learningRates: readonly number[] }
  /** Full-size goldens only. */
  readonly gradients: Readonly<Record<string, { readonly norm: number; readonly largest: number }>>
}

export interface Golden {
  readonly case: GoldenCase
  readonly tensors: ReadonlyMap<string, Float32Array>
}

/** A row of golden/variants.json: a configuration of the paper at full size. */
export interface VariantRow {
  readonly variant: VariantLetter
  readonly parameters: number
  readonly convolutionParameters: number
  readonly layers: readonly Layer[]
}

const folder = new URL('../golden/', import.meta.url)

export function readVariants(): VariantRow[] {
  return JSON.parse(readFileSync(new URL('variants.json', folder), 'utf8'))
}

/** Reads a safetensors file of float32 tensors; on purpose not with the project's own reader. */
export function readGolden(name: string): Golden {
  const bytes = readFileSync(new URL(`${name}.safetensors`, folder))
  const start = 8 + Number(bytes.readBigUInt64LE(0))
  const { __metadata__: metadata, ...entries } = JSON.parse(bytes.toString('utf8', 8, start))
  const tensors = new Map<string, Float32Array>()
  for (const [key, entry] of Object.entries<{ data_offsets: [number, number] }>(entries)) {
    const [from, to] = entry.data_offsets
    tensors.set(key, new Float32Array(new Uint8Array(bytes.subarray(start + from, start + to)).buffer))
  }
  return { case: JSON.parse(metadata.case), tensors }
}

/** The parameters of a golden one after another: at full size together they are half a gigabyte. */
export function* goldenParameters(
  golden: GoldenCase,
): Generator<{ name: string; shape: number[]; data: Float32Array }> {
  for (const { name, shape } of parameterShapes(golden.layers)) {
    const data = formulaValues(`${golden.stream}/${name}`, elementCount(shape), golden.exponents[name])
    yield { name, shape, data }
  }
}

/** The images as a network takes them: uint8 n h w c, or float32 n c h w. */
export function goldenImages(golden: GoldenCase): { shape: number[]; data: Uint8Array | Float32Array } {
  const { batch, imageSize: side, stream } = golden
  const count = batch * 3 * side * side
  if (golden.pixels === 'uint8') {
    return { shape: [batch, side, side, 3], data: formulaBytes(`${stream}/images`, count) }
  }
  return { shape: [batch, 3, side, side], data: formulaValues(`${stream}/images`, count, golden.imageExponent) }
}

/** The images as the reference takes them. */
export function goldenPixels(golden: GoldenCase): Tensor64 {
  const shape = goldenImageShape(golden)
  const { data } = goldenImages(golden)
  return data instanceof Uint8Array ? imagesToTensor(data, shape) : tensorOf(shape, data)
}

export function goldenImageShape({ batch, imageSize }: GoldenCase): Shape {
  return [batch, 3, imageSize, imageSize]
}
