import { readFile } from 'node:fs/promises'

/** The version that the package's own package.json states. */
export async function readPackage(): Promise<{ version: string }> {
  const place = new URL('../../package.json', import.meta.url)
  return JSON.parse(await readFile(place, 'utf8')) as { version: string }
}
