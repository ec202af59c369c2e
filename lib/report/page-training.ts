import type { Metrics } from '../evaluate/metrics.js'
import { countedText, countText } from '../table.js'
import { durationText, percent, rateText } from '../train/log.js'
import { type Html, html, named, wide } from './html.js'
import { type Chart, lineChart, type Series } from './line-chart.js'
import type { LineOf, TrainingFacts } from './log-line.js'
import { bestEpoch, type RunHistory } from './run-history.js'

/** A time as `2026-11-23 12:47 UTC`; text that is not a time is returned as it is. */
export function timeText(time: string): string {
  const parsed = new Date(time)
  return Number.isNaN(parsed.getTime()) ? time : `${parsed.toISOString().slice(0, 16).replace('T', ' ')} UTC`
}

/** Renders the title of the page, the state of the training, its main results and its settings. */
export function header(history: RunHistory, evaluation: Metrics | undefined): Html {
  const { facts } = history
  const title =
    facts === undefined
      ? html`Training`
      : html`${named(facts.model)} <span class="muted">on</span> ${named(facts.data)}`
  return html`<header><p class="brand">vggnet \u00b7 training report</p><h1>${title}</h1><p class="state">${state(history)}</p>
<div class="tiles">${tiles(history, evaluation)}</div>${facts && factList(history, facts)}</header>`
}

const endings = {
  epochs: 'Finished: all epochs are done',
  schedule: 'Finished: the validation accuracy stopped improving',
  interrupted: 'Interrupted',
  failed: 'Ended by an error',
} as const

function state({ started, last, end, epochs, steps }: RunHistory): Html {
  if (started === undefined) return html`The log is empty.`
  const times = html`Started ${timeText(started)}`
  const message = end?.message === undefined ? undefined : html`: ${end.message}`
  if (end !== undefined) return html`${times}. ${endings[end.ended]}${message}, ${timeText(end.time)}.`
  const done = epochs.length === 0 ? countedText(steps.at(-1)?.step ?? 0, 'step') : countedText(epochs.length, 'epoch')
  return html`${times}. Not finished: ${done} so far, last log line ${timeText(last ?? started)}.`
}

function tiles(history: RunHistory, evaluation: Metrics | undefined): Html[] {
  const last = history.epochs.at(-1)
  const best = bestEpoch(history)
  const shown: { name: string; value: string; note: string }[] = []
  const figures = evaluation ?? best?.validation
  if (figures !== undefined) {
    const of = evaluation ? `of ${countedText(evaluation.count, 'image')}` : `after epoch ${best?.epoch}`
    shown.push(
      { name: 'top-1', value: percent(figures.top1), note: of },
      ...(hasTop5(history.facts?.classes) ? [{ name: 'top-5', value: percent(figures.top5), note: of }] : []),
      { name: 'validation loss', value: lossText(figures.loss), note: 'nats' },
    )
  } else if (last !== undefined) {
    shown.push({ name: 'training accuracy', value: percent(last.accuracy), note: 'in training mode' })
  }
  if (best !== undefined) {
    shown.push({ name: 'best epoch', value: String(best.epoch), note: `top-1 ${percent(best.validation?.top1 ?? 0)}` })
  }
  if (last !== undefined) {
    const seconds = history.epochs.reduce((sum, epoch) => sum + epoch.seconds, 0)
    shown.push(
      { name: 'epochs', value: `${last.epoch} of ${last.epochs}`, note: countedText(last.step, 'step') },
      {
        name: 'time',
        value: durationText(seconds),
        note: `${countText(Math.round(last.imagesPerSecond))} images/s`,
      },
    )
  }
  return shown.map(
    ({ name, value, note }) =>
      html`<div class="tile"><p class="label">${name}</p><p class="value">${value}</p><p class="muted">${note}</p></div>`,
  )
}

function factList(history: RunHistory, facts: TrainingFacts): Html {
  const {
    device,
    deviceReason,
    precision,
    training,
    validation = 0,
    classes,
    epochs,
    batch,
    version,
    settings = {},
  } = facts
  const rows: [string, Html | string | undefined][] = [
    ['Images', `${countText(training)} for training, ${countText(validation)} for validation, ${classes} classes`],
    ['Training', `up to ${countedText(epochs, 'epoch')}, batch ${batch}`],
    ['Device', html`${device} in ${precision}${deviceReason && html` <span class="muted">(${deviceReason})</span>`}`],
    [
      'Resumed',
      history.resumes.length > 0
        ? history.resumes.map(({ step, time }) => `from step ${step} (${timeText(time)})`).join(', ')
        : undefined,
    ],
    ['vggnet', version],
    ['Command', facts.command && html`<code>${facts.command}</code>`],
  ]
  const shown = rows.filter(([, value]) => value !== undefined)
  const more = Object.entries(settings).map(
    ([name, value]) =>
      html`<dt>${name}</dt><dd>${typeof value === 'number' && /rate/i.test(name) ? rateText(value) : String(value)}</dd>`,
  )
  const all = more.length > 0 && html`<details><summary>All settings</summary><dl class="facts">${more}</dl></details>`
  return html`<dl class="facts">${shown.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>${all}`
}

type Epoch = LineOf<'epoch'>

/** A loss in nats, as text. */
const lossText = (loss: number): string => loss.toPrecision(loss !== 0 && Math.abs(loss) < 0.01 ? 2 : 4)

const percentTick = (share: number): string => `${Number((100 * share).toFixed(1))} %`

/** Most points of the curve over steps; of more steps each point is a mean of neighbours. */
const mostSteps = 240

/** Renders the curves of a training and the table of its epochs. */
export function curves(history: RunHistory): Html {
  if (history.epochs.length === 0 && history.steps.length === 0) {
    return html`<section><h2>Curves</h2><p class="none">The log has no finished step yet.</p></section>`
  }
  return html`<section><h2>Curves</h2><div class="charts">${chartsOf(history).map(lineChart)}</div>${epochTable(history)}</section>`
}

/** Whether top-5 is informative: with five classes or fewer it is always 100 %. */
const hasTop5 = (classes: number | undefined): boolean => classes === undefined || classes > 5

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
          { name: 'validation top-1', look: 'validation', points: over(({ validation }) => validation?.top1) },
          ...(hasTop5(facts?.classes)
            ? [{ name: 'validation top-5', look: 'other' as const, points: over(({ validation }) => validation?.top5) }]
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

/** Means of equal numbers of neighbours, without values that are not finite. */
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
    { name: 'Accuracy', text: ({ accuracy }) => percent(accuracy) },
    ...some(
      ({ validation }) => validation,
      { name: 'Val. loss', text: ({ validation }) => validation && lossText(validation.loss) },
      { name: 'Val. top-1', text: ({ validation }) => validation && percent(validation.top1) },
      { name: 'Val. top-5', text: ({ validation }) => validation && percent(validation.top5) },
    ),
    { name: 'Images/s', text: ({ imagesPerSecond }) => shortNumber(imagesPerSecond) },
    { name: 'Time', text: ({ seconds }) => durationText(seconds) },
    ...some(({ skipped }) => skipped, { name: 'Files skipped', text: ({ skipped }) => skipped }),
    ...some(({ refused }) => refused, { name: 'Steps not applied', text: ({ refused }) => refused }),
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
  return html`<details><summary>Results by epoch</summary>${wide('Results by epoch', table)}</details>`
}
