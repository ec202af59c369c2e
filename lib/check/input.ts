import type { Initialisation } from '../network/open.js'
import type { VGG } from '../vgg/vgg.js'
import type { Finding } from './verdict.js'

/** A channel of the images, before and after the net's mean and scale. */
export interface ChannelFigures {
  /** Of the pixels as they are, 0 to 255. */
  readonly mean: number
  /** Standard deviation. */
  readonly deviation: number
  /** The smallest value. */
  readonly least: number
  /** The largest value. */
  readonly most: number
  /** Of what the first layer gets. */
  readonly meanAfter: number
  /** Standard deviation. */
  readonly deviationAfter: number
}

/** What the first layer gets, against what the weights expect. */
export interface InputReport {
  /** Each, in order. */
  readonly channels: readonly ChannelFigures[]
  /** Root of the mean square of all channels' deviations, after mean and scale. */
  readonly deviation: number
  /** What it should be: about 65 for the paper's initialisation, else about 1. Undefined for weights that were learnt. */
  readonly expectedDeviation: number | undefined
  /** What is wrong. */
  readonly findings: readonly Finding[]
}

/** Images may be much paler or stronger than ImageNet's; a forgotten or doubled scale is a factor of 58 or 255. */
const farFromExpected = 6

/** A mean may be off by this share of the deviation. ImageNet's on other images: mostly 0.1 to 0.3. */
const farFromZero = 0.5

function figuresOf(counts: Float64Array, mean: number, scale: number): ChannelFigures {
  const pixels = counts.reduce((sum, count) => sum + count, 0)
  const own = counts.reduce((sum, count, value) => sum + count * value, 0) / pixels
  const variance = counts.reduce((sum, count, value) => sum + count * (value - own) ** 2, 0) / pixels
  const deviation = Math.sqrt(variance)
  return {
    mean: own,
    deviation,
    least: counts.findIndex((count) => count > 0),
    most: counts.findLastIndex((count) => count > 0),
    meanAfter: (own - mean) * scale,
    deviationAfter: deviation * scale,
  }
}

/**
 * @param histograms for each channel 256 counts, of at least one pixel
 * @param initialisation how the weights were made; undefined: they were learnt
 */
export function inputOf(
  histograms: readonly Float64Array[],
  { meanRgb, scale }: VGG['configuration'],
  initialisation: Initialisation | undefined,
): InputReport {
  const channels = histograms.map((counts, channel) => figuresOf(counts, meanRgb[channel] ?? 0, scale[channel] ?? 1))
  const squares = channels.reduce((sum, { deviationAfter }) => sum + deviationAfter ** 2, 0)
  const deviation = Math.sqrt(squares / channels.length)
  const expectedDeviation = initialisation === undefined ? undefined : initialisation === 'paper' ? 65 : 1
  const report = { channels, deviation, expectedDeviation }
  return { ...report, findings: [...scaleFindings(report), ...meanFindings(channels, meanRgb)] }
}

function scaleFindings({ channels, deviation, expectedDeviation }: Omit<InputReport, 'findings'>): Finding[] {
  const most = Math.max(...channels.map((channel) => channel.most))
  if (channels.every((channel) => channel.deviation === 0))
    return [{ severity: 'fatal', text: 'all pixels of all images are equal: there is nothing to learn from' }]
  if (most <= 1) {
    const text = 'no pixel is above 1: the images were divided by 255 already; pixels from 0 to 255 are expected'
    return [{ severity: 'fatal', text }]
  }
  if (expectedDeviation === undefined) return []
  const ratio = deviation / expectedDeviation
  if (ratio <= farFromExpected && ratio >= 1 / farFromExpected) return []
  const figures = `the input has standard deviation ${deviation.toPrecision(2)} and the weights expect about ${expectedDeviation}`
  return [{ severity: 'warning', text: `${figures}: ${scaleMend(ratio, expectedDeviation)}` }]
}

function scaleMend(ratio: number, expected: number): string {
  if (ratio > 1) return 'use --scale 0.01724 (1/58)'
  if (expected === 65) return "the paper's initialisation goes with --scale 1"
  const twice = ratio < 1 / 100 ? 'the pixels seem to be scaled twice; ' : ''
  return `${twice}use --scale 0.01724 (1/58), or more for pale images`
}

function meanFindings(channels: readonly ChannelFigures[], meanRgb: readonly number[]): Finding[] {
  const wrong = channels.some(({ mean, deviation }, channel) => {
    return deviation > 0 && Math.abs(mean - (meanRgb[channel] ?? 0)) > farFromZero * deviation
  })
  if (!wrong) return []
  const list = (values: readonly number[]): string => values.map((value) => value.toFixed(1)).join(',')
  const own = list(channels.map(({ mean }) => mean))
  const text = `the net subtracts ${list(meanRgb)}, but these images have the mean ${own}: it seems to be that of other data; use --mean ${own}`
  return [{ severity: 'warning', text }]
}
