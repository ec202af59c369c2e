import type { Metrics } from '../evaluate/metrics.js'
import { countText, listText } from '../table.js'
import { Html, html, named, wide } from './html.js'
import { classTable, confusion, filters, mistakes, type ShownFilters, type ShownMistake } from './page-evaluation.js'
import { curves, header, timeText } from './page-training.js'
import type { RunHistory } from './run-history.js'

/** Contents of a report, as plain data. */
export interface ReportData {
  /** Time at which the report was made, ISO 8601. */
  readonly made: string
  /** History of the training, from its log. */
  readonly history: RunHistory
  /** Results of the model on the validation images; undefined without a model or validation data. */
  readonly evaluation?: {
    /** Name of the model: 'best.safetensors'. */
    readonly model: string
    /** Metrics, as `evaluate` computes them. */
    readonly metrics: Metrics
    /** The most confident mistakes, most confident first. */
    readonly mistakes: readonly ShownMistake[]
    /** Images that could not be read. */
    readonly unreadable: readonly SkippedFile[]
  }
  /** Why the model could not be evaluated; undefined where it was, or where there is none. */
  readonly evaluationError?: string
  /** Filters of the first convolution; undefined without a model. */
  readonly filters?: ShownFilters
}

/**
 * Renders the report as one self-contained HTML page, without scripts or external resources.
 * @param data contents of the report, as `collectReport` returns them
 */
export function reportPage({ made, history, evaluation, evaluationError, filters: first }: ReportData): string {
  const title = history.facts === undefined ? 'Training' : `${history.facts.model} on ${history.facts.data}`
  const results = evaluation && [
    html`<p class="source">The model <code>${evaluation.model}</code> on ${countText(evaluation.metrics.count)} validation images, one centre crop each.</p>`,
    confusion(evaluation.metrics),
    classTable(evaluation.metrics),
    mistakes(evaluation.mistakes, history.facts?.data),
  ]
  // with this content security policy, nothing would run or be fetched even if a name were taken as markup
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<title>${title} \u00b7 vggnet</title><style>${style}</style></head>
<body><main>${header(history, evaluation?.metrics)}${curves(history)}${results}
${evaluationError !== undefined && html`<section><h2>The model</h2><p class="none">${evaluationError}</p></section>`}
${first && first.images.length > 0 && filters(first)}${problems(history, evaluation?.unreadable ?? [])}
<footer>Made ${timeText(made)} by vggnet.</footer></main></body></html>
`.text
}

const mostFiles = 500

const actions = {
  stop: 'the training stopped',
  skip: 'the update was skipped',
  back: 'the training went back to the last checkpoint',
} as const

/** A file that was skipped. */
export interface SkippedFile {
  readonly name: string
  readonly reason: string
}

/** Renders the problems: skipped files, losses that were not finite, damaged lines of the log. */
function problems(history: RunHistory, unreadable: readonly SkippedFile[]): Html | undefined {
  const parts = [
    files('Training files skipped', history.skipped),
    files('Validation files skipped', unreadable),
    notFinite(history),
    history.torn && html`<p class="note">The last line of the log is incomplete, as after a crash of the machine.</p>`,
    history.damaged.length > 0 &&
      html`<p class="note">Damaged lines of the log, which were skipped: ${listText(history.damaged)}.</p>`,
  ].filter((part) => part instanceof Object)
  if (parts.length === 0) return undefined
  return html`<section><h2>Problems</h2>${parts}</section>`
}

function files(title: string, all: readonly SkippedFile[]): Html | undefined {
  if (all.length === 0) return undefined
  const rows = all
    .slice(0, mostFiles)
    .map(
      ({ name, reason }) =>
        html`<tr><th scope="row" class="name">${named(name)}</th><td class="name">${reason}</td></tr>`,
    )
  const rest = all.length > mostFiles && html`<p class="note">and ${countText(all.length - mostFiles)} more</p>`
  const open = all.length <= 12 && html` open`
  return html`<details${open}><summary>${title}: ${countText(all.length)}</summary>${wide(title, html`<table class="numbers list files"><thead><tr><th scope="col" class="name">File</th><th scope="col" class="name">Reason</th></tr></thead><tbody>${rows}</tbody></table>`)}${rest}</details>`
}

function notFinite({ notFinite: lines }: RunHistory): Html | undefined {
  if (lines.length === 0) return undefined
  const items = lines.map(({ at, message, action }) => html`<li>step ${at}: ${message}; ${actions[action]}</li>`)
  return html`<h3>Not finite</h3><ul>${items}</ul>`
}

/** Style sheet of the page, for the light and the dark scheme. */
const style = new Html(`
:root{--back:#f6f7f8;--card:#fff;--text:#1b1f24;--muted:#59626c;--line:#dfe3e8;--training:#2b62c9;--validation:#bf4a12;
--other:#1a7f5a;--right:38 110 210;--wrong:214 84 20;--track:#e9ecf0}
@media (prefers-color-scheme:dark){:root{--back:#101317;--card:#191d23;--text:#e7eaee;--muted:#9aa5b1;--line:#2d343d;
--training:#7fb0ff;--validation:#ff9a5c;--other:#58d0a0;--right:46 104 196;--wrong:176 72 24;--track:#2a3038}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--text);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:1160px;margin:0 auto;padding:28px 20px 48px}
h1{font-size:1.9rem;line-height:1.2;margin:.1em 0 .3em;overflow-wrap:anywhere}
h2{font-size:1.2rem;margin:0 0 .6em}
h3{font-size:1rem;margin:1.6em 0 .5em}
p{margin:.4em 0}
section,.card{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:20px 22px;margin-top:20px}
.brand{color:var(--muted);font-size:.85rem;letter-spacing:.02em;margin:0}
.muted,.note,.none,.state,.source,footer{color:var(--muted)}
.note,.source{font-size:.9rem}
.state{overflow-wrap:anywhere}
.source{margin:26px 2px -8px}
footer{margin-top:28px;font-size:.85rem}
code{font:.88em/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:20px 0}
.tile{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:12px 16px}
.tile p{margin:0;font-size:.85rem}
.tile .label{color:var(--muted)}
.tile .value{font-size:1.3rem;font-weight:650;line-height:1.35;font-variant-numeric:tabular-nums}
dl.facts{display:grid;grid-template-columns:minmax(90px,max-content) 1fr;gap:4px 18px;margin:12px 0 0;font-size:.92rem}
.facts dt{color:var(--muted)}
.facts dd{margin:0;overflow-wrap:anywhere;min-width:0}
details{margin-top:16px}
summary{cursor:pointer;font-weight:600;font-size:.92rem;padding:4px 0}
summary:focus-visible,.wide:focus-visible{outline:2px solid var(--training);outline-offset:2px}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,330px),1fr));gap:22px 28px}
figure{margin:0}
.chart{min-width:0}
.chart figcaption{font-weight:600;font-size:.95rem}
.chart>svg{display:block;width:100%;max-width:560px;height:auto;margin-top:4px}
.chart text{fill:var(--muted);font-size:11px;text-anchor:end;font-variant-numeric:tabular-nums}
.chart .ticks text,.chart .along{text-anchor:middle}
.chart path{fill:none;stroke-width:1}
.grid path,.ticks path{stroke:var(--line)}
.training{--c:var(--training)}.validation{--c:var(--validation)}.other{--c:var(--other)}
g.training>path,g.validation>path,g.other>path,.legend path{stroke:var(--c);stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
g.validation>path,.legend .validation path{stroke-dasharray:6 4}
g.other>path,.legend .other path{stroke-dasharray:1.5 4}
.dot circle+circle{fill:var(--c)}
.dot circle,.spot circle{fill:transparent}
g.dot:hover circle+circle,g.spot:hover circle+circle{fill:var(--c);stroke:var(--card);stroke-width:1.5}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:2px 12px;margin:2px 0 0;padding:0 0 0 8px;font-size:.82rem;color:var(--muted);min-height:1.6em}
.legend svg{width:20px;height:8px;margin-right:4px;vertical-align:middle}
.legend path{fill:none}
.legend b{color:var(--text);font-weight:600;font-variant-numeric:tabular-nums}
.wide{overflow-x:auto;max-width:100%}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
.numbers{font-size:.88rem;min-width:100%}
.numbers th,.numbers td{padding:5px 12px 5px 0;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap;font-weight:400}
.numbers thead th{color:var(--muted);font-weight:600}
.numbers tr>:last-child{padding-right:0}
.numbers tr>:first-child,.numbers .name{text-align:left}
.list .name{white-space:normal;overflow-wrap:anywhere;min-width:7em;max-width:26em}
.list *+.name{padding-left:14px}
.files .name{max-width:none}
.list td.bar{width:26%;min-width:70px}
.numbers .best th,.numbers .best td{font-weight:650}
.mark{font-size:.75rem;color:var(--card);background:var(--validation);border-radius:5px;padding:1px 6px}
.track{display:block;height:8px;border-radius:4px;background:var(--track);overflow:hidden}
.track span{display:block;height:100%;border-radius:4px}
.track .right{background:var(--training)}.track .wrong{background:var(--validation)}
.beside{display:flex;flex-wrap:wrap;gap:8px 44px;align-items:flex-start}
.beside>*{min-width:0;max-width:100%}
.beside>:last-child{flex:1 1 400px}
.beside .list .name{min-width:5em}
.beside .list td.bar{min-width:50px;width:auto}
.beside h3{margin-top:.2em}
.matrix{border-collapse:separate;border-spacing:2px}
.matrix th{font-weight:400;font-size:.85rem;color:var(--muted)}
.matrix tbody th{text-align:right;padding-right:8px;position:sticky;left:0;background:var(--card);max-width:11em;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.matrix thead th{padding:0 2px 4px;white-space:nowrap;vertical-align:bottom}
.matrix .corner{text-align:right;padding-right:8px;font-size:.75rem;position:sticky;left:0;background:var(--card)}
.matrix abbr{text-decoration:none}
.matrix td{text-align:center;border-radius:4px;background:var(--track);height:2.3em;min-width:3em;font-size:.88rem;padding:0 4px}
.matrix td.zero{background:color-mix(in srgb,var(--track) 45%,transparent);color:var(--muted)}
.matrix td.right{background:rgb(var(--right) / calc(var(--s) * .8))}
.matrix td.wrong{background:rgb(var(--wrong) / calc(.12 + var(--s) * .75))}
.dense{border-spacing:1px}
.dense td{min-width:1.75em;height:1.75em;font-size:.66rem;border-radius:2px;padding:0 1px}
.dense th,.dense thead th{font-size:.72rem}
.dense .index{color:var(--text)}
.key{display:inline-block;border-radius:4px;padding:0 8px;color:var(--text)}
.key.right{background:rgb(var(--right) / .5)}.key.wrong{background:rgb(var(--wrong) / .5)}
.frames{display:flex;gap:4px}.frames>*{flex:1 1 0;min-width:0}
.mistakes{display:grid;grid-template-columns:repeat(auto-fill,minmax(220px,1fr));gap:18px 16px;margin-top:14px}
.mistake{min-width:0}
.frame{aspect-ratio:1;background:var(--track);border-radius:8px;overflow:hidden}
.frame img{display:block;width:100%;height:100%;object-fit:contain}
.pixels{image-rendering:pixelated}
.mistake dl{display:grid;grid-template-columns:1fr auto;gap:0 8px;margin:8px 0 4px;font-size:.85rem;line-height:1.4;align-items:baseline}
.mistake dt{color:var(--muted)}
.mistake dd{margin:0;min-width:0}
.mistake .class{grid-column:1/-1;font-weight:600;overflow-wrap:anywhere}
.mistake .share{text-align:right;font-variant-numeric:tabular-nums}
.mistake .line{grid-column:1/-1;margin:3px 0 8px}
.mistake .line .track{height:5px}
.file{color:var(--muted);font-size:.75rem;line-height:1.35;margin:0;overflow-wrap:anywhere;display:-webkit-box;-webkit-box-orient:vertical;-webkit-line-clamp:3;overflow:hidden}
.filters{display:flex;flex-wrap:wrap;gap:6px;margin-top:12px}
.filters img{border-radius:4px}
@media (max-width:560px){main{padding:18px 12px 36px}section{padding:16px 14px;border-radius:10px}h1{font-size:1.5rem}
.tiles{grid-template-columns:repeat(2,1fr);gap:8px}.tile{padding:10px 12px}.tile .value{font-size:1.2rem}
.mistakes{grid-template-columns:repeat(2,1fr);gap:16px 12px}dl.facts{grid-template-columns:1fr;gap:0}.facts dd{margin-bottom:8px}
.matrix tbody th{max-width:6.5em}
.list .bar,.list thead th:empty{display:none}.list .name{min-width:7.5em}.beside .list .name{min-width:6em}.numbers th,.numbers td{padding-right:9px}}
@media print{body{background:#fff}section{break-inside:avoid}}
`)
