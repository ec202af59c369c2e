// Trains a classifier of defective solar cells on 2,624 electroluminescence images (grey, 300x300), sized for two cores.
// Run: npx tsx examples/solar-cells.ts [--epochs N]
//
// The example downloads the images once with pip (91 MB, CC BY-NC-SA 4.0); they are not part of vggnet. Experts rated each
// cell's probability of being defective as 0, 1/3, 2/3 or 1; 2/3 and 1 count as defective here.
import { spawnSync } from 'node:child_process'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { commandLine } from './command.ts'
import { solarCells } from './wheels.ts'

/** Writes the list of paths and labels for vggnet. */
function writeList(): { folder: string; list: string } {
  const { folder, cells } = solarCells()
  const lines = cells.map(
    ({ file, probability }) => `${path.relative(folder, file)},${probability > 0.5 ? 'defective' : 'intact'}`,
  )
  const list = path.join(folder, 'list.csv')
  writeFileSync(list, `path,label\n${lines.join('\n')}\n`)
  return { folder, list }
}

const { folder, list } = writeList()
const out = path.join('runs', 'solar-cells')
const settings = [
  ['--variant', 'A', '--width', '0.25', '--head-width', '128', '--image-size', '96', '--channels', '1'],
  ['--initialisation', 'he', '--dropout', '0.2', '--batch', '32', '--learning-rate', '0.02', '--schedule', 'cosine'],
  ['--epochs', '30', '--split', '0.2', '--seed', '1', '--cache', path.join(folder, 'decoded'), '--out', out],
]
const unfinished = existsSync(path.join(out, 'run.json')) && !existsSync(path.join(out, 'model.safetensors'))
if (!unfinished) rmSync(out, { recursive: true, force: true })
const begin = ['train', list, ...settings.flat(), ...process.argv.slice(2)]
for (const words of [unfinished ? ['train', '--resume', out] : begin, ['report', out]]) {
  console.log(`\nvggnet ${words.join(' ')}`)
  const { status } = spawnSync(process.execPath, [commandLine, ...words], { stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}
