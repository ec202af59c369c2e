/** Flags of `vggnet train` that the saved model answers, or that are stated anew. */
const replaced = [
  'from',
  'epochs',
  'learning-rate',
  'variant',
  'classes',
  'image-size',
  'channels',
  'width',
  'head-width',
  'dropout',
  'local-norm',
  'initialisation',
  'mean',
  'scale',
  'class-names',
]

/**
 * The command that goes on with an interrupted `vggnet train`.
 *
 * @param words what stood behind `vggnet train`
 * @param anew the flags that have new values
 */
export function resumeCommand(words: readonly string[], anew: Readonly<Record<string, string | number>>): string {
  const kept: string[] = []
  for (let place = 0; place < words.length; place++) {
    const word = words[place] ?? ''
    const [flag = '', value] = word.split('=', 2)
    const isReplaced = flag.startsWith('--') && replaced.includes(flag.slice(2))
    if (!isReplaced) kept.push(word)
    else if (value === undefined) place += 1
  }
  const stated = Object.entries(anew).flatMap(([flag, value]) => [`--${flag}`, String(value)])
  return ['vggnet', 'train', ...kept, ...stated].map(quoted).join(' ')
}

/** A word as a POSIX shell reads it back. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}
