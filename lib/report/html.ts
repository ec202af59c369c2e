/** Markup that is safe to put into a page as it is. Made by {@link html} only. */
export class Html {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

/** What may stand in a template: text is escaped, markup is not, lists are joined, nothing is left out. */
export type Fragment = Html | string | number | undefined | false | readonly Fragment[]

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/**
 * Control characters but tab and line breaks, which no page may hold; halves of surrogate pairs; and what turns the
 * direction of writing round: `gpj.exe` would read `exe.jpg`.
 */
const forbidden = /[^\P{Cc}\t\n\r]|[\u202a-\u202e\u2066-\u2069\ufffe\uffff]|\p{Surrogate}/gu

function escaped(text: string): string {
  return text.replaceAll(forbidden, '\ufffd').replaceAll(/[&<>"']/g, (character) => entities[character] ?? '')
}

function textOf(fragment: Fragment): string {
  if (fragment === undefined || fragment === false) return ''
  if (fragment instanceof Html) return fragment.text
  if (typeof fragment === 'object') return fragment.map(textOf).join('')
  return escaped(String(fragment))
}

/** A tagged template of markup. Every value is escaped unless it is {@link Html}: names of files are anybody's input. */
export function html(parts: TemplateStringsArray, ...values: readonly Fragment[]): Html {
  return new Html(parts.map((part, index) => part + textOf(values[index])).join(''))
}

/** A name that others gave: whatever its direction of writing, it does not turn round what stands beside it. */
export const named = (name: string): Html => html`<bdi>${name}</bdi>`

/** A table that may be wider than a phone: it scrolls in itself, by keyboard too, and never the page. */
export const wide = (label: string, table: Html): Html =>
  html`<div class="wide" tabindex="0" role="region" aria-label="${label}">${table}</div>`
