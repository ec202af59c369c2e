import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { loadProbe } from '../../lib/index.js'
import { vggnet } from '../setup/command.js'
import { featureRows, writeFeatureRows } from '../setup/feature-rows.js'
import { newFolder } from '../setup/folder.js'

async function files() {
  const folder = newFolder()
  const [features, other, out] = ['features', 'other', 'out'].map((name) => path.join(folder, `${name}.safetensors`))
  await writeFeatureRows(features as string, [240, 300, 4], { labels: featureRows(240, 300, 4).labels.fill(-1, 232) })
  return { folder, features: features as string, other: other as string, out: out as string }
}

test('prints the cross-validation and the results on the rows held out, and saves the classifier', async () => {
  const { features, out } = await files()
  const words = ['probe', features, '--standardise', '--c', '0.001,0.01', '--split', '1/4', '--seed', '2', '--out', out]
  const { code, stdout, stderr } = await vggnet(words, { OMP_NUM_THREADS: '1' })
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toMatch(/^ +C +accuracy +folds\n/)
  expect(stdout).toContain('logistic regression, C = 0.0')
  expect(stdout).toContain('8 without a class left out')
  expect(stdout).toMatch(/held out: \d+\.\d+ % of 58 rows\n\nclass +rows +correct/)
  expect(stdout).toContain('true \\ predicted')
  const bytes = readFileSync(out)
  expect((await loadProbe(out)).weight.shape).toEqual([4, 300])
  // equal bytes for any number of threads, in any order of the values
  const { stdout: json } = await vggnet([...words, '--c', '0.01,0.001', '--json'], { OMP_NUM_THREADS: '2' })
  expect(readFileSync(out)).toEqual(bytes)
  const found = JSON.parse(json)
  expect(found).toMatchObject({ classifier: 'logistic', converged: true, unlabelled: 8, training: { count: 174 } })
  expect(found.heldOut.confusion.flat().reduce((sum: number, rows: number) => sum + rows)).toBe(58)
})

test('takes weights and parts from a table, and features of other images', async () => {
  const { folder, features, other } = await files()
  const table = path.join(folder, 'samples.csv')
  const lines = Array.from({ length: 240 }, (_, row) => `${row}.png,${row % 5 === 0 ? 'validation' : 'training'},0.5`)
  writeFileSync(table, `path,part,weight\n${lines.join('\n')}\n`)
  const words = ['probe', features, '--classifier', 'svm', '--c', '0.01', '--json']
  const parts = JSON.parse((await vggnet([...words, '--samples', table])).stdout)
  expect(parts).toMatchObject({ classifier: 'svm', c: 0.01, tried: [], heldOut: { count: 47 } })
  await writeFeatureRows(other, [80, 300, 4], { seed: 2 })
  const apart = JSON.parse((await vggnet([...words, '--test', other])).stdout)
  expect(apart).toMatchObject({ training: { count: 232 }, heldOut: { count: 80 } })
  await writeFeatureRows(other, [80, 299, 4])
  const { code, stderr } = await vggnet([...words, '--test', other])
  expect(code).toBe(2)
  expect(stderr).toMatch(/INVALID_ARGUMENT: Expected features of the same network and layers/)
})
