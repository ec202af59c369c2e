import { existsSync } from 'node:fs'
import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { vggnet } from '../setup/command.js'
import { writeDigitPhotos } from '../setup/digit-photos.js'

let folder: string
const at = (name: string): string => path.join(folder, name)

const net = ['--variant', 'A', '--image-size', '32', '--width', '0.125', '--head-width', '32', '--initialisation', 'he']
const run = [
  '--batch',
  '15',
  '--learning-rate',
  '0.01',
  '--schedule',
  'cosine',
  '--dropout',
  '0',
  '--threads',
  '2',
  '--device',
  'cpu',
]

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'vggnet-photos-'))
  await writeDigitPhotos(at('photos'), 3, 40)
})
afterAll(() => rm(folder, { recursive: true }))

describe('images in a folder', () => {
  test('are checked, trained on, evaluated, classified and reported', async () => {
    const words = [at('photos'), ...net, ...run, '--no-flip', '--epochs', '12', '--split', '0.25']
    const checked = await vggnet(['check', ...words])
    expect(checked).toMatchObject({ code: 0, stderr: '' })
    expect(checked.stdout).toMatch(/memory .*batch of 15/)

    const trained = await vggnet(['train', ...words, '--out', at('run')])
    expect(trained).toMatchObject({ code: 0, stderr: '' })
    expect(trained.stdout).toMatch(/VGG A \(32x32x3, 3 classes, .*\): 90 images, 30 for validation/)

    const evaluated = await vggnet(['evaluate', at('run'), '--json'])
    expect(evaluated).toMatchObject({ code: 0, stderr: '' })
    const found = JSON.parse(evaluated.stdout)
    // S is the paper's 256 for a crop of 224, in proportion
    expect(found.protocol).toBe(
      "protocol: single centre crop of 32x32 of the image rescaled to a smallest side of 37; the validation part of the run's own data",
    )
    expect(found).toMatchObject({ part: 'validation', trainingImages: 0, unknown: [], count: 30, unreadable: [] })
    expect(found.top1).toBeGreaterThan(0.8)
    expect(found.perClass.map(({ name }: { name: string }) => name)).toEqual(['digit-0', 'digit-1', 'digit-2'])
    const text = await vggnet(['evaluate', at('run'), at('photos'), '--part', 'all'])
    expect(text.stdout).toMatch(/; all of the run's own data\nthe model was trained on 90 of these 120 images: /)
    expect(text.stdout).toMatch(/120 images: top-1 \d+\.\d\d %, loss /)
    expect(text.stdout).toMatch(/true \\ predicted +digit-0 +digit-1 +digit-2/)

    await mkdir(at('ones'))
    await symlink(at('photos/digit-1'), at('ones/digit-1'))
    const ones = await vggnet(['evaluate', at('run'), at('ones'), '--json'])
    expect(JSON.parse(ones.stdout)).toMatchObject({ part: 'all', count: 40, trainingImages: 30 })

    const image = at('photos/digit-1/7.png')
    const classified = await vggnet(['classify', at('run'), image])
    expect(classified.stdout).toMatch(/7\.png {2}digit-\d \d+\.\d\d %/)

    const reported = await vggnet(['report', at('run')])
    expect(reported).toMatchObject({ code: 0, stdout: `${at('run/report.html')}\n` })
    expect(await readFile(at('run/report.html'), 'utf8')).toContain('digit-2')
  })

  test('continues from a model at another S, with frozen layers and other classes', async () => {
    const more = ['--from', at('run'), '--smallest-side', '40-48', '--freeze', 'conv1,conv2', '--rate-factors', 'fc8=2']
    const words = ['train', at('photos'), ...more, ...run, '--epochs', '1', '--no-check', '--json']
    const same = await vggnet([...words, '--out', at('tuned')])
    expect(same).toMatchObject({ code: 0, stderr: '' })
    const end = JSON.parse(same.stdout.trimEnd().split('\n').at(-1) ?? '')
    expect(end.frozen.layers).toEqual(['conv1_1', 'conv2_1'])
    expect(end.frozen.after).toBe(end.frozen.before)
    const { protocol } = JSON.parse((await vggnet(['evaluate', at('tuned'), at('photos'), '--json'])).stdout)
    expect(protocol).toMatch(/smallest side of 44; /)

    await writeDigitPhotos(at('five'), 5, 6)
    const other = ['train', at('five'), ...more, ...run, '--epochs', '1', '--no-check', '--out', at('five-run')]
    const replaced = await vggnet(other)
    expect(replaced).toMatchObject({ code: 0, stderr: expect.stringMatching(/^conv1_1 to conv2_1 are frozen .*\n$/) })
    expect(replaced.stdout).toMatch(/5 classes/)

    const checked = await vggnet(['check', at('five'), ...more, ...run, '--epochs', '1'])
    const start = /^conv1_1 to conv2_1 are frozen .* step: /.exec(replaced.stderr)?.[0] ?? 'no notice'
    expect(checked.stdout).toContain(`\nfrozen      ${start}`)
  })

  test('a damaged file is named, or skipped and counted', async () => {
    await writeDigitPhotos(at('damaged'), 2, 12)
    await writeFile(at('damaged/digit-1/3.png'), 'no image')
    const words = [
      'train',
      at('damaged'),
      ...net,
      ...run,
      '--epochs',
      '1',
      '--split',
      '0',
      '--no-check',
      '--mean',
      '30,30,30',
    ]
    const [, ...checkedWords] = words.filter((word) => word !== '--no-check')
    const checked = await vggnet(['check', ...checkedWords])
    expect(checked).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/FILE_FORMAT: .*3\.png cannot be read/),
      stdout: expect.stringMatching(/error .*3\.png cannot be read/),
    })
    const strict = await vggnet([...words, '--out', at('strict')])
    expect(strict).toMatchObject({ code: 1, stderr: expect.stringMatching(/FILE_FORMAT: .*digit-1\/3\.png/) })
    const atOnce = await vggnet([...words, '--batch', '24', '--out', at('at-once')])
    expect(atOnce).toMatchObject({ code: 1, stderr: strict.stderr })
    // it ended before its first step
    expect(existsSync(at('at-once'))).toBe(false)
    const lenient = await vggnet([...words, '--on-unreadable', 'skip', '--json', '--out', at('lenient')])
    expect(lenient).toMatchObject({ code: 0 })
    const epoch = JSON.parse(lenient.stdout.split('\n')[0] ?? '')
    expect(epoch.skippedCount).toBe(1)
    expect(epoch.skipped[0].name).toBe(at('damaged/digit-1/3.png'))

    // an evaluation continues after a bad file, names some of them, and ends with exit code 1
    for (let index = 0; index < 11; index++) await writeFile(at(`damaged/digit-0/${index}.png`), 'no image')
    const sequences = '\x1b]0;title\x07\x1b[31m'
    await writeFile(at(`damaged/digit-0/${sequences}.png`), 'no image')
    const evaluation = ['evaluate', at('lenient/model.safetensors'), at('damaged')]
    const scored = await vggnet(evaluation)
    expect(scored.stdout).toMatch(
      /12 images: top-1 (?:.*\n)(?:not read: .*digit-0\/\S+\.png: it is text\n){10}not read: 3 more/,
    )
    expect(scored).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^vggnet: FILE_FORMAT: 13 of 25 images .* --on-unreadable skip\n$/),
    })
    expect(scored.stdout + scored.stderr).not.toContain('\x1b')
    const accepted = await vggnet([...evaluation, '--on-unreadable', 'skip', '--json'])
    expect(accepted).toMatchObject({ code: 0, stderr: '' })
    const { count, unreadable } = JSON.parse(accepted.stdout)
    expect([count, unreadable.length, unreadable.at(-1).name]).toEqual([12, 13, at('damaged/digit-1/3.png')])
  })

  test('a list and a config file are equivalent to a folder and flags', async () => {
    const lines = [0, 1].flatMap((digit) =>
      Array.from({ length: 10 }, (_, index) => `photos/digit-${digit}/${index}.png,digit-${digit}`),
    )
    await writeFile(at('list.csv'), `path,label\n${lines.join('\n')}\n`)
    const config = { variant: 'A', imageSize: [32, 32], width: 0.125, headWidth: 32, epochs: 1, batch: 5, flip: false }
    await writeFile(at('config.json'), JSON.stringify(config))
    const words = ['train', at('list.csv'), '--device', 'cpu', '--no-check', '--split', '0', '--json']
    const one = await vggnet([...words, '--config', at('config.json'), '--batch', '4', '--out', at('one')])
    expect(one).toMatchObject({ code: 0, stderr: '' })
    const { description } = JSON.parse(await readFile(at('one/run.json'), 'utf8'))
    expect(description).toMatchObject({
      model: { variant: 'A', imageSize: [32, 32], width: 0.125, headWidth: 32 },
      training: { batch: 4, epochs: 1 },
      photographs: { flip: false, colour: { deviation: 0.1 } },
    })
    await writeFile(at('wrong.json'), JSON.stringify({ ...config, epoch: 3 }))
    const wrong = await vggnet([...words, '--config', at('wrong.json')])
    expect(wrong).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/wrong\.json .*'epoch'; did you mean 'epochs'/),
    })
    const none = await vggnet([...words, '--config', at('none.json')])
    expect(none).toMatchObject({ code: 1, stderr: expect.stringMatching(/FILE_NOT_FOUND: .*none\.json/) })
    await copyFile(at('list.csv'), at('broken.json'))
    const broken = await vggnet([...words, '--config', at('broken.json')])
    expect(broken).toMatchObject({ code: 1, stderr: expect.stringMatching(/FILE_FORMAT: .*broken\.json/) })
  })

  test.each([
    { words: ['none'], error: /FILE_NOT_FOUND: There is no data at .*none/ },
    { words: [], error: /INVALID_ARGUMENT: Expected DATA/ },
    { words: ['package.json'], error: /INVALID_ARGUMENT: Expected a folder .*package\.json/ },
    { words: ['--resume', 'lib', '--epochs', '9'], error: /INVALID_ARGUMENT: Expected --resume alone.* epochs/ },
    { words: ['--resume', 'lib'], error: /FILE_NOT_FOUND: There is no run in lib/ },
  ])('train $words is rejected with a message', async ({ words, error }) => {
    const { code, stderr } = await vggnet(['train', ...words])
    expect(code).not.toBe(0)
    expect(stderr).toMatch(error)
    expect(stderr.trimEnd().split('\n')).toHaveLength(1)
  })
})
