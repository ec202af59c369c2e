import type { Metrics } from '../evaluate/metrics.js'
import { countedText, countText } from '../table.js'
import { durationText, percent, rateText } from '../train/log.js'
import { type Html, html, named } from './html.js'
import type { TrainingFacts } from './log-line.js'
import { lossText, tellsTop5 } from './page-curves.js'
import { bestEpoch, type RunHistory } from './run-history.js'

/** A time as people write it: `2026-11-23 12:47 UTC`; whatever else a log holds is shown as it is. */
export function timeText(time: string): string {
  const parsed = new Date(time)
  return Number.isNaN(parsed.getTime()) ? time : `${parsed.toISOString().slice(0, 16).replace('T', ' ')} UTC`
}

/** What was trained, where it stands, and the figures to remember. Pure. */
export function header(history: RunHistory, judged: Metrics | undefined): Html {
  const { facts } = history
  const title =
    facts === undefined
      ? html`Training`
      : html`${named(facts.model)} <span class="muted">on</span> ${named(facts.data)}`
  return html`<header><p class="brand">vggnet \u00b7 training report</p><h1>${title}</h1><p class="state">${state(history)}</p>
<div class="tiles">${tiles(history, judged)}</div>${facts && factList(history, facts)}</header>`
}

const endings = {
  epochs: 'Finished: all epochs done',
  schedule: 'Finished: the validation accuracy stopped improving',
  interrupted: 'Interrupted',
  failed: 'Ended by an error',
} as const

function state({ started, last, end, epochs, steps }: RunHistory): Html {
  if (started === undefined) return html`The log is empty.`
  const times = html`Begun ${timeText(started)}`
  const message = end?.message === undefined ? undefined : html`: ${end.message}`
  if (end !== undefined) return html`${times}. ${endings[end.ended]}${message}, ${timeText(end.time)}.`
  const done = epochs.length === 0 ? countedText(steps.at(-1)?.step ?? 0, 'step') : countedText(epochs.length, 'epoch')
  return html`${times}. Not finished: ${done} so far, last heard of ${timeText(last ?? started)}.`
}

function tiles(history: RunHistory, judged: Metrics | undefined): Html[] {
  const last = history.epochs.at(-1)
  const best = bestEpoch(history)
  const shown: { name: string; value: string; note: string }[] = []
  const figures = judged ?? best?.validation
  if (figures !== undefined) {
    const of = judged ? `of ${countedText(judged.count, 'image')}` : `after epoch ${best?.epoch}`
    shown.push(
      { name: 'top-1', value: percent(figures.top1), note: of },
      ...(tellsTop5(history.facts?.classes) ? [{ name: 'top-5', value: percent(figures.top5), note: of }] : []),
      { name: 'validation loss', value: lossText(figures.loss), note: 'nats' },
    )
  } else if (last !== undefined) {
    shown.push({ name: 'training', value: percent(last.accuracy), note: 'right, in training mode' })
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
