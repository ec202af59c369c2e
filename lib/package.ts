import { readFileSync } from 'node:fs'

let read: string | undefined

/** The version that the package's own package.json states. */
export function packageVersion(): string {
  read ??= (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string })
    .version
  return read
}
