import { countText, listText } from '../table.js'
import { type Html, html, named, wide } from './html.js'
import type { RunHistory } from './run-history.js'

const mostFiles = 500

const actions = {
  stop: 'the training stopped',
  skip: 'the update was skipped',
  back: 'the training went back to the last checkpoint',
} as const

/** A file that was left out. */
export interface SkippedFile {
  readonly name: string
  readonly reason: string
}

/** What did not go well: files left out, numbers that were not finite, damaged lines of the log. Pure. */
export function troubles(history: RunHistory, unreadable: readonly SkippedFile[]): Html | undefined {
  const parts = [
    files('Training files left out', history.skipped),
    files('Validation files left out', unreadable),
    notFinite(history),
    history.torn &&
      html`<p class="note">The last line of the log was not written whole, as when a machine goes down.</p>`,
    history.damaged.length > 0 &&
      html`<p class="note">Lines of the log that are damaged and were left out: ${listText(history.damaged)}.</p>`,
  ].filter((part) => part instanceof Object)
  if (parts.length === 0) return undefined
  return html`<section><h2>Troubles</h2>${parts}</section>`
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
