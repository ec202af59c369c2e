/** Words that have been retired from documents, comments, messages and docstrings, by what is written instead. */
export const retiredWords: Readonly<Record<string, RegExp>> = {
  'index, position, location': /places?/,
  image: /pictures?|photographs?/,
  after: /behind/,
  'reported, printed': /told|tells|said/,
  'prepared, written': /made ready|laid down|lays? down/,
  'interleaved rounds': /in turns|takes? turns/,
  baseline: /peers?|rivals?|opponents?/,
  'background load': /foreign load/,
  random: /by chance/,
  'fingerprint, requirement': /conditions?/,
  history: /course/,
  'assessed, rejected, tried': /judges?|judged|verdicts?|fates?|trials?/,
  fix: /mends?|mended/,
  'progress, state': /standing/,
  continues: /goes on/,
  'again, new': /anew|once more/,
  'skipped, left out': /passed over/,
}

/** Words that have been retired from documents only: `cure` is a field of errors, and a GPU is a card in comments of the backend. */
export const retiredFromDocuments: Readonly<Record<string, RegExp>> = {
  ...retiredWords,
  fix: /mends?|mended|cures?/,
  GPU: /cards?/,
}

/** Words that have been retired from names in code, by what is written instead. Each is a word of a camelCase name. */
const retiredNames: Readonly<Record<string, RegExp>> = {
  'index, position, location': /places?/,
  image: /pictures?|photographs?/,
  TrainingProgress: /standing/,
  RunHistory: /course/,
  'interleaved rounds': /in turns/,
  baseline: /peers?|rivals?|opponents?/,
  'background load': /foreign load/,
  'result, check': /judgements?|judges?|fates?/,
  createRun: /begin folder/,
  'Unreadable, skipped': /left out/,
}

/** Names in files on disk and in JSON output, which do not change. */
const formatNames = /^(photographs|peer.*)$/

/** Retired words in a text, each with its replacement. Words after a dot or hyphen belong to a flag, a file or a class. */
export const retiredIn = (text: string, words: Readonly<Record<string, RegExp>>): string[] =>
  Object.entries(words).flatMap(([word, { source }]) =>
    [...text.matchAll(new RegExp(`(?<![.:-])\\b(?:${source})\\b`, 'gi'))].map(([old]) => `${old}: write ${word}`),
  )

/** The words of a name: `firstUsable` and `first_usable` are `first usable`. */
const wordsOf = (name: string): string => name.replaceAll(/([a-z\d])(?=[A-Z])/g, '$1 ').replaceAll('_', ' ')

// Comments, strings and templates, or names. A quote in a regular expression spoils at most the rest of its line.
const tokens =
  /(?<comment>\/\*[\s\S]*?\*\/|\/\/.*)|(?<string>'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`)|(?<name>[A-Za-z_$][\w$]*)/g

/** Retired words in TypeScript: in comments without inline code, in strings of several words, and in names. */
export function retiredInCode(code: string): string[] {
  const prose: string[] = []
  const names = new Set<string>()
  for (const { groups: { comment, string, name } = {} } of code.matchAll(tokens)) {
    if (comment !== undefined) prose.push(comment.replaceAll(/`[^`\n]*`/g, ''))
    const text = string?.replaceAll(/\$\{[^}]*\}/g, '')
    if (text !== undefined && /\S\s+\S/.test(text)) prose.push(text)
    if (name !== undefined && !formatNames.test(name)) names.add(name)
  }
  const inNames = [...names].flatMap((name) =>
    retiredIn(wordsOf(name), retiredNames).map((found) => `${name}: ${found}`),
  )
  return [...prose.flatMap((text) => retiredIn(text, retiredWords)), ...inNames]
}
