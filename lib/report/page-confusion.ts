import type { Metrics } from '../evaluate/metrics.js'
import { countedText, countText } from '../table.js'
import { percent } from '../train/log.js'
import { type Html, html, named, wide } from './html.js'

/** More classes than these make no matrix that could be read. */
const mostInMatrix = 50

/** More classes than these make cells too small for three digits, and columns that are named by number. */
const mostInLarge = 20

/** Beside a matrix, and without one. */
const mostPairs = { beside: 10, alone: 30 } as const
const mostRows = 25

const at = (metrics: Metrics, truth: number, answer: number): number => metrics.confusion[truth]?.[answer] ?? 0

/** Confusion matrix: a matrix up to 50 classes, and the pairs most often confused. Pure. */
export function confusion(metrics: Metrics): Html {
  const classes = metrics.perClass.length
  const matrix = classes <= mostInMatrix && confusionMatrix(metrics)
  const note =
    classes > mostInMatrix
      ? html`${countedText(classes, 'class', 'classes')}: too many for a matrix that could be read.`
      : html`Rows are the true class, columns the predicted class; shading is the share of the row. <span class="key right">right</span> <span class="key wrong">wrong</span>`
  return html`<section><h2>Confusion matrix</h2><p class="note">${note}</p><div class="beside">${matrix}${pairs(metrics)}</div></section>`
}

function confusionMatrix(metrics: Metrics): Html {
  const { perClass } = metrics
  const size = perClass.length <= mostInLarge ? 'large' : 'dense'
  const most = perClass.length <= 6 ? 18 : 10
  const head = perClass.map(
    ({ name }, answer) =>
      html`<th scope="col"><abbr title="${name}">${size === 'large' ? shortened(name, most) : answer + 1}</abbr></th>`,
  )
  const rows = perClass.map(({ name, count }, truth) => {
    const number = size === 'dense' && html`<span class="index">${truth + 1}</span> `
    const cells = perClass.map((other, answer) =>
      cell(at(metrics, truth, answer), count, truth === answer, `${name} classified as ${other.name}`),
    )
    return html`<tr><th scope="row" title="${name}">${number}${named(name)}</th>${cells}</tr>`
  })
  return html`<div>${wide('Confusion matrix', html`<table class="matrix ${size}"><thead><tr><th scope="col" class="corner">true \\ answer</th>${head}</tr></thead><tbody>${rows}</tbody></table>`)}</div>`
}

function cell(count: number, row: number, isRight: boolean, title: string): Html {
  if (count === 0) return html`<td class="zero">${isRight && '0'}</td>`
  const share = count / row
  // a single mistake among hundreds is still to be seen
  const shade = Math.max(0.12, share).toFixed(2)
  return html`<td class="${isRight ? 'right' : 'wrong'}" style="--s:${shade}" title="${title}: ${countedText(count, 'image')}, ${percent(share)}">${count}</td>`
}

function shortened(name: string, most: number): string {
  const letters = Array.from(name)
  return letters.length <= most ? name : `${letters.slice(0, most - 1).join('')}\u2026`
}

interface Pair {
  readonly truth: number
  readonly answer: number
  readonly count: number
}

function mostConfused(metrics: Metrics): Pair[] {
  return metrics.confusion
    .flatMap((row, truth) =>
      row.flatMap((count, answer) => (count > 0 && truth !== answer ? [{ truth, answer, count }] : [])),
    )
    .sort((a, b) => b.count - a.count)
}

function pairs(metrics: Metrics): Html | undefined {
  const all = mostConfused(metrics)
  if (all.length === 0) return html`<p class="note">No image was classified as another class.</p>`
  // a small matrix says it at a glance
  const classes = metrics.perClass.length
  if (classes <= 4) return undefined
  const most = all[0]?.count ?? 1
  const shown = classes <= mostInMatrix ? mostPairs.beside : mostPairs.alone
  const rows = all.slice(0, shown).map(({ truth, answer, count }) => {
    const [own, other] = [metrics.perClass[truth], metrics.perClass[answer]]
    return html`<tr><td class="name">${named(own?.name ?? '')}</td><td class="name">${named(other?.name ?? '')}</td><td>${count}</td><td>${percent(count / (own?.count || 1))}</td><td class="bar">${bar(count / most, 'wrong')}</td></tr>`
  })
  const rest = all.length > shown && html`<p class="note">${shown} of ${countText(all.length)} pairs.</p>`
  return html`<div><h3>Most often confused</h3>${wide('Most often confused', html`<table class="numbers list"><thead><tr><th scope="col" class="name">True</th><th scope="col" class="name">Answer</th><th scope="col">Images</th><th scope="col">Share</th><th></th></tr></thead><tbody>${rows}</tbody></table>`)}${rest}</div>`
}

/** A bar of this share, 0 to 1. The figure stands beside it: it says nothing to a reader who cannot see it. */
export function bar(share: number, look: 'right' | 'wrong'): Html {
  const width = Math.round(1000 * Math.min(1, Math.max(0, share))) / 10
  return html`<span class="track" aria-hidden="true"><span class="${look}" style="width:${width}%"></span></span>`
}

/** How each class fared, the worst first. Pure. */
export function classTable(metrics: Metrics): Html {
  const answers = metrics.perClass.map((_, answer) =>
    metrics.confusion.reduce((sum, row) => sum + (row[answer] ?? 0), 0),
  )
  const confusions = new Map<number, Pair>()
  for (const pair of mostConfused(metrics)) if (!confusions.has(pair.truth)) confusions.set(pair.truth, pair)
  const order = metrics.perClass.map((result, index) => ({ ...result, index }))
  order.sort((a, b) => Number(b.count > 0) - Number(a.count > 0) || a.accuracy - b.accuracy || b.count - a.count)
  const rows = order.map(({ name, count, correct, accuracy, index }) => {
    const other = confusions.get(index)
    const taken =
      other && html`${named(metrics.perClass[other.answer]?.name ?? '')} <span class="muted">${other.count}</span>`
    const share = count > 0 ? percent(accuracy) : '\u2013'
    const precise = answers[index] ? percent(correct / answers[index]) : '\u2013'
    return html`<tr><th scope="row" class="name">${named(name)}</th><td>${count}</td><td>${correct}</td><td>${share}</td><td class="bar">${bar(accuracy, 'right')}</td><td>${precise}</td><td class="name">${taken}</td></tr>`
  })
  const head = html`<thead><tr><th scope="col" class="name">Class</th><th scope="col">Images</th><th scope="col">Right</th><th scope="col" title="correct answers among the images of this class">Recall</th><th></th><th scope="col" title="correct answers among the answers of this class">Precision</th><th scope="col" class="name">Most often confused with</th></tr></thead>`
  const table = (part: readonly Html[]) =>
    wide('Classes', html`<table class="numbers list">${head}<tbody>${part}</tbody></table>`)
  const rest = rows.slice(mostRows)
  const more = rest.length > 0 && html`<details><summary>${rest.length} more</summary>${table(rest)}</details>`
  return html`<section><h2>Per-class results, worst first</h2>${table(rows.slice(0, mostRows))}${more}</section>`
}
