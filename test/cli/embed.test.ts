import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { save } from '../../lib/checkpoint/checkpoint.js'
import { FeatureFile } from '../../lib/index.js'
import { commandLine, start, vggnet } from '../setup/command.js'
import { writePhotos } from '../setup/photos.js'
import { smallNet } from '../setup/stripes.js'

const folder = mkdtempSync(path.join(tmpdir(), 'vggnet-embed-'))
const at = (...parts: string[]): string => path.join(folder, ...parts)
const computing = ['--device', 'cpu', '--threads', '1']
const options = ['--scales', '64,96', '--flip', '--layers', 'relu7,relu4_2', '--pool', 'mean,max', ...computing]
const wordsFor = (out: string, ...more: string[]) => ['embed', at('model'), at('photos'), '--out', at(out), ...more]
const embed = (out: string, ...more: string[]) => vggnet(wordsFor(out, ...options, ...more))

beforeAll(async () => {
  using net = await smallNet({ classNames: ['a', 'b', 'c'] })
  await save(net, at('model'))
  const names = Array.from({ length: 100 }, (_, index) => `photos/${index % 2 ? 'cat' : 'dog'}/${index}.png`)
  await writePhotos(folder, names)
})
afterAll(() => rmSync(folder, { recursive: true }))

/** The number of finished parts of a file. */
const partsOf = (out: string): number =>
  existsSync(at(`${out}.parts`)) ? readdirSync(at(`${out}.parts`)).filter((name) => name.startsWith('part-')).length : 0

test('writes the same bytes after it was killed, and finds the nearest images', async () => {
  const whole = await embed('whole.safetensors', '--npy', '--json')
  const { code, stdout } = whole
  expect(code, whole.stderr).toBe(0)
  const expected = { file: at('whole.safetensors'), images: 100, resumed: 0, features: 192, unreadable: [] }
  expect(JSON.parse(stdout)).toEqual(expected)
  for (const parts of [1, 3]) {
    const { child, ended } = start(commandLine, wordsFor('killed.safetensors', ...options))
    while (partsOf('killed.safetensors') < parts && child.exitCode === null) await pause(2)
    child.kill('SIGKILL')
    expect((await ended).code).toBeUndefined()
  }
  expect(existsSync(at('killed.safetensors'))).toBe(false)
  const refused = await embed('killed.safetensors', '--normalise', 'none')
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('RESUME_MISMATCH: ') })
  expect(refused.stderr).toContain('normalise is "none" and was "l2"')
  const resumed = await embed('killed.safetensors', '--npy')
  expect(resumed.stdout.replaceAll('\n', ' ')).toContain(
    '100 images of 192 features (96 of them computed by an earlier run):',
  )
  for (const name of ['safetensors', 'npy', 'labels.npy'])
    expect(readFileSync(at(`killed.${name}`)).equals(readFileSync(at(`whole.${name}`))), name).toBe(true)
  const left = readdirSync(folder).filter((name) => name.includes('parts') || name.startsWith('.'))
  expect(left).toEqual([])

  const near = await vggnet([
    'nearest',
    at('whole.safetensors'),
    at('photos/cat/7.png'),
    '--top',
    '3',
    ...computing,
    '--json',
  ])
  const [{ nearest }] = JSON.parse(near.stdout)
  const features = await FeatureFile.open(at('whole.safetensors'))
  const rows = await features.readRows(0, new Float32Array(100 * 192))
  const names = await features.readNames(0, 100)
  await features.close()
  const query = names.indexOf(at('photos/cat/7.png'))
  const cosines = names.map((_, row) => {
    let sum = 0
    for (let index = 0; index < 192; index++) sum += (rows[row * 192 + index] ?? 0) * (rows[query * 192 + index] ?? 0)
    return sum
  })
  const best = [...cosines].sort((a, b) => b - a)
  expect(nearest).toHaveLength(3)
  for (const [rank, { index, name, similarity, class: found }] of nearest.entries()) {
    expect(similarity).toBeCloseTo(cosines[index] ?? 0, 5)
    expect(similarity).toBeCloseTo(best[rank] ?? 0, 5)
    expect(name).toBe(names[index])
    expect(found).toBe(path.basename(path.dirname(name)))
  }
})

test('leaves out what cannot be read, and refuses what has no effect', async () => {
  writeFileSync(at('list.csv'), 'photos/cat/1.png,cat\nnone.png,dog\nphotos/dog/2.png,dog\n')
  const list = (...more: string[]) =>
    vggnet(['embed', at('model'), at('list.csv'), '--out', at('l.safetensors'), ...computing, ...more])
  const first = await list()
  expect(first).toMatchObject({ code: 1, stderr: expect.stringContaining('1 of 3 images could not be read') })
  expect(first.stdout).toMatch(/2 images of 32 features[\s\S]*not read: .*none\.png: no such file/)
  expect(await list('--on-unreadable', 'skip')).toMatchObject({ code: 0, stderr: '' })
  expect((await list('--cache', at('c'), '--scales', '64')).stderr).toMatch(/INVALID_ARGUMENT: Expected no --cache/)
  const missing = await vggnet(['embed', at('model'), at('list.csv'), '--out', at('no/l.safetensors')])
  expect(missing.stderr).toMatch(/FILE_WRITE: .*there is no folder/)
})

test('finds the nearest images by the network of the features only', async () => {
  const unlabelled = (...more: string[]) =>
    vggnet([
      'embed',
      at('model'),
      at('photos/cat'),
      '--unlabelled',
      '--out',
      at('n.safetensors'),
      ...computing,
      ...more,
    ])
  expect((await unlabelled('--class-names', 'a')).stderr).toMatch(
    /INVALID_ARGUMENT: Expected no --class-names with --unlab/,
  )
  const flat = await vggnet(['embed', at('model'), at('photos/cat'), '--out', at('n.safetensors')])
  expect(flat.stderr).toMatch(/FILE_FORMAT: .*--unlabelled takes all images/)
  expect((await unlabelled()).stdout).toContain('50 images of 32 features')
  using net = await smallNet({ classNames: ['a', 'b', 'c'], seed: 7 })
  await save(net, at('other'))
  const nearest = (...more: string[]) => vggnet(['nearest', at('n.safetensors'), ...more, ...computing])
  const refused = await nearest(at('photos/cat/1.png'), '--model', at('other'))
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('HASH_MISMATCH: ') })
  const found = await nearest(at('photos/cat/1.png'), at('none.png'))
  expect(found.code).toBe(1)
  expect(found.stdout).toMatch(
    /1\.png\n *similarity +class +file\n[- ]+\n *1\.0000 +\S+\.png\n[\s\S]*not read: .*none\.png/,
  )
})
