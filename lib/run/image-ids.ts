import { stat } from 'node:fs/promises'
import path from 'node:path'
import type { Sources } from './sources.js'

/** Files looked at at once. */
const atOnce = 256

/**
 * What a file is on this machine, by whatever path, link or mount it is reached: device and inode. A file that is not
 * there is its absolute path.
 */
export async function fileId(file: string): Promise<string> {
  try {
    const { dev, ino } = await stat(file, { bigint: true })
    return `${dev}:${ino}`
  } catch {
    return path.resolve(file)
  }
}

/** One identity for each image of a part: equal for the same image of the same file. Opens no image. */
export async function imageIds(sources: Sources, part: 'training' | 'validation'): Promise<string[]> {
  if (sources.kind === 'fixed') {
    const origin = sources.origins[part]
    if (origin === undefined) return []
    const file = `${await fileId(origin.path)} ${origin.set ?? ''}`
    return Array.from(origin.indices, (index) => `${file} ${index}`)
  }
  // the names of images that lie in files are their paths
  const files = sources[part]?.names ?? []
  const ids: string[] = []
  for (let start = 0; start < files.length; start += atOnce) {
    ids.push(...(await Promise.all(files.slice(start, start + atOnce).map(fileId))))
  }
  return ids
}
