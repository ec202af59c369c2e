import type { Metrics } from '../evaluate/metrics.js'
import { countText } from '../table.js'
import { html } from './html.js'
import { classTable, confusion } from './page-confusion.js'
import { curves } from './page-curves.js'
import { header, timeText } from './page-header.js'
import { filters, mistakes, type ShownFilters, type ShownMistake } from './page-images.js'
import { type SkippedFile, troubles } from './page-troubles.js'
import type { RunHistory } from './run-history.js'
import { style } from './style.js'

/** All that a report shows: plain data. */
export interface ReportData {
  /** When the report was made, ISO 8601. */
  readonly made: string
  /** What the log tells. */
  readonly history: RunHistory
  /** The model on the validation images. */
  readonly judged?: {
    /** 'best.safetensors' */
    readonly model: string
    /** As `evaluate` counts. */
    readonly metrics: Metrics
    /** The surest of the wrong answers. */
    readonly mistakes: readonly ShownMistake[]
    /** Images left out. */
    readonly unreadable: readonly SkippedFile[]
  }
  /** Why there is no judgement. */
  readonly notJudged?: string
  /** The windows of the first layer. */
  readonly filters?: ShownFilters
}

/**
 * The report as one page of HTML that needs nothing but itself: no network, no script. Pure.
 * @param data what `collectReport` gathered
 */
export function reportPage({ made, history, judged, notJudged, filters: first }: ReportData): string {
  const title = history.facts === undefined ? 'Training' : `${history.facts.model} on ${history.facts.data}`
  const judgement = judged && [
    html`<p class="source">The model <code>${judged.model}</code> on ${countText(judged.metrics.count)} validation images, a single centre crop each.</p>`,
    confusion(judged.metrics),
    classTable(judged.metrics),
    mistakes(judged.mistakes, history.facts?.data),
  ]
  // The policy of content: even if a name slipped through as markup, nothing of it would run or be fetched.
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<title>${title} \u00b7 vggnet</title><style>${style}</style></head>
<body><main>${header(history, judged?.metrics)}${curves(history)}${judgement}
${notJudged !== undefined && html`<section><h2>The model</h2><p class="none">${notJudged}</p></section>`}
${first && first.images.length > 0 && filters(first)}${troubles(history, judged?.unreadable ?? [])}
<footer>Made ${timeText(made)} by vggnet.</footer></main></body></html>
`.text
}
