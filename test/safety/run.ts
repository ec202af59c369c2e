import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { isTemporary } from '../../lib/files/atomic-file.js'
import { writePhotos } from '../setup/photos.js'
import { runDescription } from '../setup/run-description.js'
import { comparable } from '../setup/run-log.js'

/** Writes images and the description of a run of three steps an epoch with a cache, a checkpoint after each step, and a log. */
export async function writeRun(folder: string, epochs: number): Promise<void> {
  const data = path.join(folder, 'photos')
  mkdirSync(data, { recursive: true })
  const names = ['cat', 'dog'].flatMap((name) => Array.from({ length: 12 }, (_, index) => `${name}/${index}.png`))
  await writePhotos(data, names)
  const description = runDescription({
    data: { kind: 'folder', path: data },
    model: { variant: 'A', width: 0.03, headWidth: 8, imageSize: [32, 32], dropout: 0.25, initialisation: 'he' },
    photographs: {
      smallestSide: 32,
      randomCrop: true,
      flip: true,
      colour: true,
      onUnreadable: 'throw',
      cache: path.join(folder, 'cache'),
    },
  })
  const training = { ...description.training, epochs, batch: 6 }
  const content = { ...description, training, checkpoints: { keep: 2, minutes: 1e-9 } }
  writeFileSync(path.join(folder, 'description.json'), JSON.stringify(content))
}

/** What a run leaves, without what differs between two runs: times, and the files of events, one for each start. */
export interface Left {
  /** Names and bytes of the files. */
  readonly files: ReadonlyMap<string, Buffer>
  readonly log: readonly object[]
}

/** What the run in a folder left, but for lock files: one that stays locks nothing. @throws if a temporary file is among it */
export async function leftIn(folder: string): Promise<Left> {
  const names = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/^events\.out\.|^log\.jsonl$/.test(entry.name))
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
    .filter((name) => /^(run|cache)\//.test(name) && !/\.lock$/.test(name))
    .sort()
  const temporary = names.filter((name) => isTemporary(path.basename(name)))
  if (temporary.length > 0) throw new Error(`Temporary files are left: ${temporary.join(', ')}`)
  const files = new Map(names.map((name) => [name, readFileSync(path.join(folder, name))]))
  return { files, log: await comparable(path.join(folder, 'run/log.jsonl')) }
}
