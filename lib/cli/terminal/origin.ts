import { printable } from '../../table.js'
import type { VggConfiguration } from '../../vgg/configuration.js'
import type { Origin } from '../../vgg/origin.js'
import { section } from './sections.js'

/** The images that a network expects, in the output of `--json`. */
export interface PixelFacts {
  channels: number
  imageSize: readonly number[]
  meanRgb: readonly number[]
  scale: readonly number[]
  /** The paper's S; null if it is unknown. */
  smallestSide: number | readonly number[] | null
}

/** The images that a network of this configuration expects. */
export function pixelsOf({ channels, imageSize, meanRgb, scale, preprocessing }: VggConfiguration): PixelFacts {
  return { channels, imageSize, meanRgb, scale, smallestSide: preprocessing?.smallestSide ?? null }
}

const numbersText = (numbers: readonly number[]): string =>
  numbers.map((value) => Number(value.toPrecision(6))).join(' ')

/** A fact of a model with its title; undefined facts are left out. */
export type Fact = readonly [title: string, value: string | undefined]

/** Facts of the weights of another program, for {@link factLines}. */
export function originFacts(origin: Origin | undefined, pixels: PixelFacts): Fact[] {
  const { imageSize, meanRgb, scale, smallestSide } = pixels
  const side = Array.isArray(smallestSide) ? smallestSide.join(' to ') : smallestSide
  const resized = side === null ? '' : `smallest side ${side}, `
  return [
    ['pixels', `${resized}crop ${imageSize.join('x')}, mean ${numbersText(meanRgb)}, scale ${numbersText(scale)}`],
    ['source', origin && printable(`${origin.source}, ${origin.file}`)],
    ['licence', origin?.licence && printable(origin.licence)],
    ['SHA-256', origin?.sha256 ?? (origin?.ranges && `not checked: bytes ${origin.ranges} of the file`)],
  ]
}

/** One section for each fact that is known. */
export const factLines = (facts: readonly Fact[], width: number): string[] =>
  facts.flatMap(([title, value]) => (value === undefined ? [] : [section(title, [value], width)]))
