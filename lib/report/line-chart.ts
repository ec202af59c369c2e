import { countText } from '../table.js'
import { type Html, html } from './html.js'

/** One line of a chart. */
export interface Series {
  readonly name: string
  /** Colour and dash; a chart uses each look once. */
  readonly look: 'training' | 'validation' | 'other'
  /** Points in order of x. A y that is not finite breaks the line; so does y <= 0 on a logarithmic scale. */
  readonly points: readonly (readonly [x: number, y: number])[]
}

/** A line chart over epochs or steps. */
export interface Chart {
  readonly title: string
  /** Unit of x: 'epoch', 'step'. */
  readonly along: string
  readonly scale: 'linear' | 'log'
  readonly series: readonly Series[]
  /** Formats a value of y. */
  readonly text: (y: number) => string
  /** A value that the y axis includes. */
  readonly from?: number
  /** Bounds of y, such as 0 and 1 for a share. */
  readonly least?: number
  readonly most?: number
}

// in units of the view box, about one pixel each, so that text stays readable on a phone
const width = 360
const height = 216
const frame = { left: 46, right: 350, top: 10, bottom: 184 }

/** Above this number of points, dots are shown only under the pointer. */
const mostDots = 48

/** Renders a chart as a figure with inline SVG: title, legend with the last values, axes, lines, and a tooltip per point. */
export function lineChart(chart: Chart): Html {
  const shown = chart.series
    .map((one) => ({ ...one, points: one.points.filter(([, y]) => drawable(y, chart.scale)) }))
    .filter(({ points }) => points.length > 0)
  if (shown.length === 0) {
    return html`<figure class="chart"><figcaption>${chart.title}</figcaption><p class="none">No values.</p></figure>`
  }
  const all = shown.flatMap(({ points }) => points)
  const xs = axis(all.map(([x]) => x))
  const ys = yAxis(
    chart,
    all.map(([, y]) => y),
  )
  const position = ([x, y]: readonly [number, number]) => [
    frame.left + xs.share(x) * (frame.right - frame.left),
    frame.bottom - ys.share(y) * (frame.bottom - frame.top),
  ]
  const lines = chart.series.map((one) => seriesMarks(one, chart, position))
  const legend = shown.map(({ name, look, points }) => {
    const last = points.at(-1)?.[1] ?? Number.NaN
    return html`<li class="${look}"><svg viewBox="0 0 22 8" aria-hidden="true"><path d="M1 4H21"/></svg>${name} <b>${chart.text(last)}</b></li>`
  })
  return html`<figure class="chart"><figcaption>${chart.title}</figcaption>
<svg viewBox="0 0 ${width} ${height}" role="img"><title>${summary(chart, shown)}</title>
<g class="grid">${ys.ticks.map((tick) => yTick(position([xs.low, tick])[1] ?? 0, chart.text(tick)))}</g>
<g class="ticks">${xs.ticks.map((tick) => xTick(position([tick, ys.low])[0] ?? 0, countText(tick)))}</g>
<text class="along" x="${(frame.left + frame.right) / 2}" y="${height - 3}">${chart.along}</text>
${lines}</svg><ul class="legend">${legend}</ul></figure>`
}

const drawable = (y: number, scale: Chart['scale']): boolean => Number.isFinite(y) && (scale === 'linear' || y > 0)

function summary({ title, along, text }: Chart, shown: readonly Series[]): string {
  const parts = shown.map(({ name, points }) => {
    const [first, last] = [points[0], points.at(-1)]
    if (first === undefined || last === undefined) return name
    return `${name} from ${text(first[1])} at ${along} ${countText(first[0])} to ${text(last[1])} at ${along} ${countText(last[0])}`
  })
  return `${title}: ${parts.join('; ')}`
}

type Position = (point: readonly [number, number]) => number[]

function seriesMarks({ name, look, points }: Series, { scale, text, along }: Chart, position: Position): Html {
  let path = ''
  let isDown = false
  for (const point of points) {
    const isDrawn = drawable(point[1], scale)
    if (isDrawn) path += `${isDown ? 'L' : 'M'}${position(point).map(rounded).join(' ')}`
    isDown = isDrawn
  }
  const drawn = points.filter(([, y]) => drawable(y, scale))
  const dotted = drawn.length <= mostDots ? 'dot' : 'spot'
  const dots = drawn.map((point) => {
    const [x = 0, y = 0] = position(point)
    const tip = `${along} ${countText(point[0])}: ${name} ${text(point[1])}`
    return html`<g class="${dotted}"><circle cx="${rounded(x)}" cy="${rounded(y)}" r="7"/><circle cx="${rounded(x)}" cy="${rounded(y)}" r="2.4"/><title>${tip}</title></g>`
  })
  return html`<g class="${look}"><path d="${path}"/>${dots}</g>`
}

const rounded = (value: number): number => Math.round(value * 10) / 10

function yTick(y: number, text: string): Html {
  return html`<path d="M${frame.left} ${rounded(y)}H${frame.right}"/><text x="${frame.left - 6}" y="${rounded(y + 4)}">${text}</text>`
}

function xTick(x: number, text: string): Html {
  return html`<path d="M${rounded(x)} ${frame.bottom}v4"/><text x="${rounded(x)}" y="${frame.bottom + 16}">${text}</text>`
}

interface Axis {
  readonly low: number
  readonly ticks: readonly number[]
  /** Position of a value on the axis, from 0 to 1. */
  share(value: number): number
}

/** A step of 1, 2 or 5 times a power of ten, which divides the range into about `count` parts. */
function tickStep(range: number, count: number): number {
  const rough = range / count
  const power = 10 ** Math.floor(Math.log10(rough))
  const digit = rough / power
  return power * (digit <= 1.5 ? 1 : digit <= 3.5 ? 2 : digit <= 7.5 ? 5 : 10)
}

function ticksIn(low: number, high: number, step: number): number[] {
  const first = Math.ceil(low / step - 1e-9)
  const last = Math.floor(high / step + 1e-9)
  // by multiplication: sums of steps would accumulate rounding errors
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) =>
    Number(((first + index) * step).toPrecision(12)),
  )
}

function boundsOf(values: readonly number[]): [number, number] {
  return values.reduce<[number, number]>(
    ([low, high], value) => [Math.min(low, value), Math.max(high, value)],
    [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
  )
}

/** The x axis, of integers. A single value is centred. */
function axis(values: readonly number[]): Axis {
  const [low, high] = boundsOf(values)
  if (low === high) return { low, ticks: [low], share: () => 0.5 }
  // longer numbers need more space
  const step = Math.max(1, tickStep(high - low, high < 1000 ? 6 : 4))
  return { low, ticks: ticksIn(low, high, step), share: (value) => (value - low) / (high - low) }
}

function yAxis({ scale, from, least, most }: Chart, values: readonly number[]): Axis {
  const [lowest, highest] = boundsOf(from === undefined ? values : [...values, from])
  if (scale === 'log') return logAxis(lowest, highest)
  const isFlat = lowest === highest
  const reach = isFlat ? Math.abs(highest) || 1 : highest - lowest
  const step = tickStep(reach, 5)
  const low = Math.max(least ?? Number.NEGATIVE_INFINITY, Math.floor(lowest / step - (isFlat ? 1 : 0)) * step)
  const high = Math.min(most ?? Number.POSITIVE_INFINITY, Math.ceil(highest / step + (isFlat ? 1 : 0)) * step)
  return { low, ticks: ticksIn(low, high, step), share: (value) => (value - low) / (high - low) }
}

/** A logarithmic axis whose ends are powers of ten. */
function logAxis(lowest: number, highest: number): Axis {
  const low = Math.floor(Math.log10(lowest) + 1e-9)
  const high = Math.max(low + 1, Math.ceil(Math.log10(highest) - 1e-9))
  const every = Math.max(1, Math.ceil((high - low) / 5))
  const ticks = ticksIn(low, high, every).map((power) => Number((10 ** power).toPrecision(12)))
  return { low: 10 ** low, ticks, share: (value) => (Math.log10(value) - low) / (high - low) }
}
