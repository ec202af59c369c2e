/** A command of this program as it is typed; a POSIX shell reads the same words back. */
export function commandText(words: readonly string[]): string {
  return ['vggnet', ...words].map(quoted).join(' ')
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}
