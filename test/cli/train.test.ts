import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { gzipSync } from 'node:zlib'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { commandLine, start, vggnet } from '../setup/command.js'
import { idxBytes } from '../setup/idx-bytes.js'
import { stripes } from '../setup/stripes.js'

const count = 120
let folder: string
let pixels: Uint8Array
const at = (name: string): string => path.join(folder, name)

const data = stripes(count, 9)
const small = ['--width', '0.125', '--head-width', '32', '--initialisation', 'he', '--threads', '2', '--device', 'cpu']
const quick = [
  ...small,
  '--no-check',
  '--batch',
  '20',
  '--learning-rate',
  '0.02',
  '--schedule',
  'cosine',
  '--seed',
  '4',
]
const files = (): string[] => ['--images', at('images.gz'), '--labels', at('labels')]

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'vggnet-cli-'))
  pixels = new Uint8Array(count * 1024)
  await data.read(
    Int32Array.from({ length: count }, (_, index) => index),
    pixels,
  )
  await writeFile(at('images.gz'), gzipSync(idxBytes([count, 32, 32], pixels)))
  await writeFile(at('labels'), idxBytes([count], Uint8Array.from(data.labels)))
})
afterAll(() => rm(folder, { recursive: true }))

describe('train, then classify', () => {
  test('a model is trained, saved, and right about images in a new process', async () => {
    const named = [
      '--dropout',
      '0',
      '--batch',
      '10',
      '--learning-rate',
      '0.005',
      '--class-names',
      'lying,progress,leaning',
      '--out',
      at('digits'),
    ]
    const trained = await vggnet(['train', ...files(), ...quick, ...named, '--epochs', '15', '--split', '0.25'])
    expect(trained).toMatchObject({ code: 0, stderr: '' })
    const lines = trained.stdout.trimEnd().split('\n')
    expect(lines[0]).toMatch(/^VGG A \(32x32x1, 3 classes, .* parameters\): 90 images, 30 for validation$/)
    expect(lines[1]).toBe('on cpu in float32')
    expect(lines.filter((line) => /^epoch +\d+\/15 .* loss .* validation .* images\/s/.test(line))).toHaveLength(15)
    expect(lines.at(-1)).toContain('/digits/model.safetensors; ')

    const chosen = [0, 1, 2].map((label) => data.labels.indexOf(label))
    const raw = { width: 32, height: 32, channels: 1 } as const
    const images = chosen.map((index) => at(`${index}.png`))
    for (const [position, index] of chosen.entries()) {
      await sharp(pixels.subarray(index * 1024, (index + 1) * 1024), { raw })
        .png()
        .toFile(images[position] ?? '')
    }
    const said = await vggnet(['classify', at('digits'), ...images, '--top', '3', '--json'])
    expect(said).toMatchObject({ code: 0, stderr: '' })
    const found: { file: string; answers: { class: string; index: number; probability: number }[] }[] = JSON.parse(
      said.stdout,
    )
    expect(found.map(({ file }) => file)).toEqual(images)
    expect(found.map(({ answers }) => answers[0]?.class)).toEqual(['lying', 'progress', 'leaning'])
    for (const { answers } of found) {
      expect(answers).toHaveLength(3)
      expect(answers.reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1, 5)
    }
    const text = await vggnet(['classify', at('digits/model.safetensors'), images[1] ?? ''])
    expect(text.stdout).toMatch(/\.png {2}progress \d+\.\d\d %\n$/)
  })

  test('files that a model cannot classify', async () => {
    const model = at('digits')
    const missing = await vggnet(['classify', model, at('none.png')])
    expect(missing).toMatchObject({ code: 1, stderr: expect.stringMatching(/FILE_NOT_FOUND: .*none\.png/) })
    const text = await vggnet(['classify', model, at('labels')])
    expect(text).toMatchObject({ code: 1, stderr: expect.stringMatching(/FILE_FORMAT: .*labels/) })
    const top = await vggnet(['classify', model, at('labels'), '--top', '4'])
    expect(top).toMatchObject({ code: 2, stderr: expect.stringMatching(/from 1 to 3 for --top/) })
    const other = await vggnet(['classify', at('images.gz'), at('labels')])
    expect(other).toMatchObject({ code: 1, stderr: expect.stringMatching(/FILE_FORMAT/) })
  })
})

test('--json gives a line per epoch and a report; equal seeds give equal files', async () => {
  const words = (out: string): string[] => [
    'train',
    ...files(),
    ...quick,
    '--epochs',
    '2',
    '--split',
    '0',
    '--json',
    '--out',
    out,
  ]
  const [one, two] = [await vggnet(words(at('one'))), await vggnet(words(at('two')))]
  const lines = one.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(lines.map(({ event }) => event)).toEqual(['epoch', 'epoch', 'end'])
  expect(lines[2]).toMatchObject({ steps: 12, ended: 'epochs', path: at('one/model.safetensors') })
  expect(two.code).toBe(0)
  for (const file of ['model.safetensors', 'checkpoints/step-00000012.safetensors']) {
    expect(await readFile(at(`one/${file}`))).toEqual(await readFile(at(`two/${file}`)))
  }
})

test('small images are padded to 32x32, and --val-images is read', async () => {
  const small28 = Uint8Array.from({ length: 40 * 28 * 28 }, (_, index) => (index * 7) & 255)
  await writeFile(at('small'), idxBytes([40, 28, 28], small28))
  await writeFile(
    at('small-labels'),
    idxBytes(
      [40],
      Uint8Array.from({ length: 40 }, (_, index) => index % 3),
    ),
  )
  const validation = ['--val-images', at('images.gz'), '--val-labels', at('labels')]
  const words = ['--images', at('small'), '--labels', at('small-labels'), ...validation, '--out', at('padded')]
  const { code, stdout } = await vggnet(['train', ...words, ...quick, '--epochs', '1'])
  expect(code).toBe(0)
  expect(stdout).toMatch(/\(32x32x1, 3 classes.*: 40 images, 120 for validation/)
})

describe('Ctrl-C', () => {
  test('saves and prints the command to continue, which ends with the same bytes', async () => {
    const words = (out: string) => ['train', ...files(), ...quick, '--epochs', '12', '--out', out]
    const { child, ended } = start(commandLine, words(at('stopped')))
    await new Promise<void>((resolve) => {
      child.stdout.on('data', (text: string) => /epoch +2\/12/.test(text) && resolve())
    })
    child.kill('SIGINT')
    const { code, stderr } = await ended
    expect(code).toBe(130)
    const next =
      /^Interrupted; continue with:\n {2}npx vggnet (train --resume .*)$/m.exec(stderr)?.[1]?.split(' ') ?? []
    expect(next).toEqual(['train', '--resume', at('stopped')])
    expect((await readdir(at('stopped'))).filter((name) => name.includes('tmp'))).toEqual([])
    const again = await vggnet(next)
    expect(again).toMatchObject({ code: 0, stdout: expect.stringMatching(/resuming after step \d+/) })
    expect(await vggnet(words(at('undisturbed')))).toMatchObject({ code: 0 })
    const models = ['stopped', 'undisturbed'].map((out) => readFile(at(`${out}/model.safetensors`)))
    expect(Buffer.compare(...((await Promise.all(models)) as [Buffer, Buffer]))).toBe(0)
    const finished = await vggnet(next)
    expect(finished).toMatchObject({ code: 0, stdout: expect.stringContaining('The run was already finished.') })
    const twice = await vggnet(words(at('stopped')))
    expect(twice).toMatchObject({ code: 2, stderr: expect.stringMatching(/INVALID_ARGUMENT: .*--resume/) })
  })
})

test('a folder that cannot be written is reported in a sentence', async () => {
  const out = at('images.gz/run')
  const { code, stderr } = await vggnet(['train', ...files(), ...quick, '--epochs', '1', '--out', out])
  expect(code).toBe(1)
  expect(stderr).toMatch(/^vggnet: FILE_WRITE: [^\n]+\n$/)
})
