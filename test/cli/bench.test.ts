import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { type Ended, start } from '../setup/command.js'

const tiny = ['--variant', 'A', '--image-size', '32', '--batch', '2', '--head-width', '16', '--classes', '3']
const once = ['--rounds', '1', '--milliseconds', '1', '--threads', '1']

const bench = (...words: string[]): Promise<Ended> => start('bench/step.ts', [...tiny, ...once, ...words]).ended

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'vggnet-bench-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  return folder
}

test('bench --json prints a line for a case, and the text on stderr', async () => {
  const { code, stdout, stderr } = await bench('--json')
  expect({ code, stderr }).toMatchObject({
    code: 0,
    stderr: expect.stringContaining('vggnet A 32x32 batch 2 training'),
  })
  const lines = stdout.trimEnd().split('\n')
  expect(lines).toHaveLength(1)
  const found = JSON.parse(lines[0] ?? '')
  expect(found).toMatchObject({
    case: 'A 32x32 batch 2 training',
    precision: 'float32',
    batch: 2,
    threads: 1,
    rounds: 1,
    machine: { node: process.versions.node },
  })
  expect(found).not.toHaveProperty('peer')
  for (const name of ['imagesPerSecond', 'minimumMs', 'medianMs', 'peakMegabytes'])
    expect(found[name]).toBeGreaterThan(0)
  expect(found.backgroundLoad).toBeGreaterThanOrEqual(0)
  expect(found.backgroundLoad).toBeLessThanOrEqual(1)
})

test('missing baselines are reported, and the case is measured alone', async () => {
  const folder = await newFolder()
  const file = path.join(folder, 'found.json')
  const { code, stdout } = await bench('--peers', path.join(folder, 'none'), '--json', file)
  expect(code).toBe(0)
  expect(stdout).toContain(`No baselines in ${path.join(folder, 'none')}: \`npm run bench:peers\``)
  expect(stdout).toContain('vggnet A 32x32 batch 2 training on cpu: best ')
  const { cases } = JSON.parse(await readFile(file, 'utf8'))
  expect(cases).toMatchObject([{ case: { variant: 'A', batch: 2 }, peers: [], threads: 1 }])
})

test('a Python without PyTorch is reported, and the case is measured alone', async () => {
  const { code, stdout } = await bench('--peer', path.join(await newFolder(), 'python'))
  expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringContaining('No PyTorch: ') })
  expect(stdout).toContain('vggnet A 32x32 batch 2 training on cpu: best ')
})

test('bench --scaling compares one thread with several', async () => {
  const { code, stdout } = await bench('--scaling', '--json', '--threads', '2')
  expect(code).toBe(0)
  const found = JSON.parse(stdout)
  expect(found).toMatchObject({ case: 'A 32x32 batch 2 training', threads: 2, goal: 1.85 })
  expect(found.scaling).toBeCloseTo(found.imagesPerSecond / found.oneThreadImagesPerSecond)
})

test('a case that fails is reported, and the exit code is 1', async () => {
  const { code, stdout } = await bench('--batch', '1000000', '--image-size', '224')
  expect({ code, stdout }).toMatchObject({ code: 1, stdout: expect.stringMatching(/batch 1000000 training: /) })
})
