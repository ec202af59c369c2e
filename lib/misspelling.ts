/** Characters of a word that are compared: no name is longer. */
const mostCompared = 60
/** Names that are compared. Those of a file may be many. */
const mostNames = 4096

// Levenshtein distance; a transposition counts as one change.
function distance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replace = (last[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      let least = Math.min(replace, (last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, (beforeLast[j - 2] ?? 0) + 1)
      }
      row.push(least)
    }
    beforeLast = last
    last = row
  }
  return last[b.length] ?? 0
}

/** The words of a name, in lower case: `numClasses` and `num_classes` are num and classes. */
const wordsOf = (name: string): string[] =>
  name
    .replaceAll(/([a-z\d])(?=[A-Z])/g, '$1 ')
    .toLowerCase()
    .split(/[^a-z\d]+/)
    .filter(Boolean)

/** Whether `given` is a known abbreviation (lr) or form (num_classes, batchSize, size) of the camelCase `name`. */
function isFormOf(name: string, given: string): boolean {
  const [known, words] = [wordsOf(name), wordsOf(given)]
  if (known.length > 1 && known.map((word) => word[0]).join('') === given.toLowerCase()) return true
  const [less, more] = known.length < words.length ? [known, words] : [words, known]
  return less.length > 0 && less.every((word) => more.includes(word))
}

const mostChanges = (a: string, b: string): number => Math.max(1, Math.floor(Math.min(a.length, b.length) / 3))

/** The name that `misspelt` was probably meant to be; undefined if none is similar. */
export function likelyMeant(misspelt: string, names: readonly string[]): string | undefined {
  const wanted = misspelt.slice(0, mostCompared).toLowerCase()
  const compared = names.slice(0, mostNames)
  const [best] = compared
    .filter((name) => Math.abs(name.length - wanted.length) <= mostChanges(name, wanted))
    .map((name) => ({ name, changes: distance(wanted, name.toLowerCase()) }))
    // of a single letter nothing would be left
    .filter(
      ({ name, changes }) => changes < Math.min(name.length, wanted.length) && changes <= mostChanges(name, wanted),
    )
    .sort((a, b) => a.changes - b.changes)
  return best?.name ?? compared.find((name) => isFormOf(name, misspelt))
}
