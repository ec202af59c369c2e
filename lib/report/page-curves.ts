import { countText } from '../table.js'
import { durationText, percent, rateText } from '../train/log.js'
import { type Html, html, wide } from './html.js'
import { type Chart, lineChart, type Series } from './line-chart.js'
import type { LineOf } from './log-line.js'
import { bestEpoch, type RunHistory } from './run-history.js'

type Epoch = LineOf<'epoch'>

/** A loss, in nats. */
export const lossText = (loss: number): string => loss.toPrecision(loss !== 0 && Math.abs(loss) < 0.01 ? 2 : 4)

const percentTick = (share: number): string => `${Number((100 * share).toFixed(1))} %`

/** At most so many points are drawn of the steps; each is the mean of its neighbours. */
const mostSteps = 240

/** The curves of a training and its figures by epoch. Pure. */
export function curves(history: RunHistory): Html {
  if (history.epochs.length === 0 && history.steps.length === 0) {
    return html`<section><h2>Curves</h2><p class="none">The log holds no finished step yet.</p></section>`
  }
  return html`<section><h2>Curves</h2><div class="charts">${chartsOf(history).map(lineChart)}</div>${epochTable(history)}</section>`
}

/** Of five classes or fewer the right one is always among the first five. */
export const tellsTop5 = (classes: number | undefined): boolean => classes === undefined || classes > 5

function chartsOf({ epochs, steps, facts }: RunHistory): Chart[] {
  const over = (y: (epoch: Epoch) => number | undefined): Series['points'] =>
    epochs.flatMap((epoch) => {
      const value = y(epoch)
      return value === undefined ? [] : [[epoch.epoch, value] as const]
    })
  const charts: Chart[] = []
  if (epochs.length > 0) {
    charts.push(
      {
        title: 'Loss (cross-entropy, nats)',
        along: 'epoch',
        scale: 'linear',
        least: 0,
        text: shortNumber,
        series: [
          { name: 'training', look: 'training', points: over(({ loss }) => loss) },
          { name: 'validation', look: 'validation', points: over(({ validation }) => validation?.loss) },
        ],
      },
      {
        title: 'Accuracy',
        along: 'epoch',
        scale: 'linear',
        from: 0,
        most: 1,
        text: percentTick,
        series: [
          { name: 'training', look: 'training', points: over(({ accuracy }) => accuracy) },
          { name: 'top-1', look: 'validation', points: over(({ validation }) => validation?.top1) },
          ...(tellsTop5(facts?.classes)
            ? [{ name: 'top-5', look: 'other' as const, points: over(({ validation }) => validation?.top5) }]
            : []),
        ],
      },
      {
        title: 'Learning rate',
        along: 'epoch',
        scale: 'log',
        text: rateText,
        series: [{ name: 'rate', look: 'training', points: over(({ learningRate }) => learningRate) }],
      },
      {
        title: 'Speed',
        along: 'epoch',
        scale: 'linear',
        from: 0,
        text: shortNumber,
        series: [{ name: 'images/s', look: 'training', points: over(({ imagesPerSecond }) => imagesPerSecond) }],
      },
    )
  }
  if (steps.length > 0) {
    const name = steps.length > mostSteps ? 'training, mean of neighbours' : 'training'
    charts.push({
      title: 'Loss by step',
      along: 'step',
      scale: 'linear',
      least: 0,
      text: shortNumber,
      series: [{ name, look: 'training', points: thinned(steps.map(({ step, loss }) => [step, loss])) }],
    })
  }
  return charts
}

function shortNumber(value: number): string {
  return Math.abs(value) >= 1000 ? countText(Math.round(value)) : String(Number(value.toPrecision(3)))
}

/** Means of equal numbers of neighbours; those that are not finite are left out of them. */
function thinned(points: Series['points']): Series['points'] {
  const size = Math.ceil(points.length / mostSteps)
  if (size <= 1) return points
  const groups = Array.from({ length: Math.ceil(points.length / size) }, (_, index) =>
    points.slice(index * size, (index + 1) * size),
  )
  return groups.map((group) => {
    const finite = group.map(([, y]) => y).filter(Number.isFinite)
    return [group.at(-1)?.[0] ?? 0, finite.reduce((sum, y) => sum + y, 0) / finite.length]
  })
}

interface Column {
  readonly name: string
  readonly text: (epoch: Epoch) => string | number | undefined
}

function columnsFor(epochs: readonly Epoch[]): Column[] {
  const some = (count: (epoch: Epoch) => unknown, ...columns: Column[]) => (epochs.some(count) ? columns : [])
  return [
    { name: 'Rate', text: ({ learningRate }) => rateText(learningRate) },
    { name: 'Loss', text: ({ loss }) => lossText(loss) },
    { name: 'Training', text: ({ accuracy }) => percent(accuracy) },
    ...some(
      ({ validation }) => validation,
      { name: 'Val. loss', text: ({ validation }) => validation && lossText(validation.loss) },
      { name: 'Top-1', text: ({ validation }) => validation && percent(validation.top1) },
      { name: 'Top-5', text: ({ validation }) => validation && percent(validation.top5) },
    ),
    { name: 'Images/s', text: ({ imagesPerSecond }) => shortNumber(imagesPerSecond) },
    { name: 'Time', text: ({ seconds }) => durationText(seconds) },
    ...some(({ skipped }) => skipped, { name: 'Files skipped', text: ({ skipped }) => skipped }),
    ...some(({ refused }) => refused, { name: 'Steps refused', text: ({ refused }) => refused }),
  ]
}

function epochTable(history: RunHistory): Html | undefined {
  if (history.epochs.length === 0) return undefined
  const best = bestEpoch(history)
  const columns = columnsFor(history.epochs)
  const head = columns.map(({ name }) => html`<th scope="col">${name}</th>`)
  const rows = history.epochs.map((epoch) => {
    const isBest = epoch === best
    const mark = isBest && html` <span class="mark">best</span>`
    const cells = columns.map(({ text }) => html`<td>${text(epoch)}</td>`)
    return html`<tr${isBest && html` class="best"`}><th scope="row">${epoch.epoch}${mark}</th>${cells}</tr>`
  })
  const table = html`<table class="numbers"><thead><tr><th scope="col">Epoch</th>${head}</tr></thead><tbody>${rows}</tbody></table>`
  return html`<details><summary>Figures by epoch</summary>${wide('Figures by epoch', table)}</details>`
}
