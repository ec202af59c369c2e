/** Markup that needs no escaping. Only {@link html} and constants create it. */
export class Html {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

/** A value in a template: text is escaped, markup is not, lists are joined, undefined and false are empty. */
export type Fragment = Html | string | number | undefined | false | readonly Fragment[]

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/**
 * Control characters except tab and line breaks, which HTML forbids; lone surrogates; and bidirectional overrides, with
 * which `gpj.exe` would read `exe.jpg`.
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

/** A tagged template of markup. Every value is escaped unless it is {@link Html}: file names are untrusted input. */
export function html(parts: TemplateStringsArray, ...values: readonly Fragment[]): Html {
  return new Html(parts.map((part, index) => part + textOf(values[index])).join(''))
}

/** An untrusted name, isolated so that right-to-left text in it does not reorder its surroundings. */
export const named = (name: string): Html => html`<bdi>${name}</bdi>`

/** A table that scrolls sideways on a narrow screen, also by keyboard, so that the page does not. */
export const wide = (label: string, table: Html): Html =>
  html`<div class="wide" tabindex="0" role="region" aria-label="${label}">${table}</div>`
