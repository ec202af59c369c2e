import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { save } from '../../lib/checkpoint/checkpoint.js'
import { gradCam } from '../../lib/index.js'
import { vggnet } from '../setup/command.js'
import { writePhotos } from '../setup/photos.js'
import { smallNet } from '../setup/stripes.js'

const folder = mkdtempSync(path.join(tmpdir(), 'vggnet-explain-'))
const at = (...parts: string[]): string => path.join(folder, ...parts)
const explain = (images: readonly string[], out: string, ...more: string[]) =>
  vggnet(['explain', at('model'), ...images, '--out', out, '--device', 'cpu', '--threads', '1', ...more])

beforeAll(async () => {
  using net = await smallNet({ classNames: ['cat', 'dog', 'fox'] })
  await save(net, at('model'))
  await writePhotos(folder, ['a/one.png', 'b/one.png', 'c\x1b[2J.png'])
  writeFileSync(at('bad.png'), 'no image')
})
afterAll(() => rmSync(folder, { recursive: true }))

test('writes an overlay for each image, continues after a damaged one, and replaces only its own files', async () => {
  const files = [at('a/one.png'), at('bad.png'), at('b/one.png'), at('c\x1b[2J.png')]
  const first = await explain(files, at('out'), '--json')
  expect(first.code).toBe(1)
  expect(first.stderr).toMatch(/^vggnet: FILE_FORMAT: [^\n]*bad\.png[^\n]*\n$/)
  const names = ['one-grad-cam.png', 'one-2-grad-cam.png', 'c_[2J-grad-cam.png', 'explanations.json']
  expect(readdirSync(at('out')).sort()).toEqual(names.sort())
  const result = JSON.parse(first.stdout)
  expect(result).toEqual(JSON.parse(readFileSync(at('out/explanations.json'), 'utf8')))
  expect(result.explanations.map(({ file }: { file: string }) => file)).toEqual(files)
  using net = await smallNet({ classNames: ['cat', 'dog', 'fox'] })
  const { classes } = await gradCam(net, files[0] ?? '')
  expect(result.explanations[0]).toMatchObject({ ...classes[0], image: 'one-grad-cam.png', imageSize: [32, 32] })
  expect((await explain(files.slice(0, 1), at('out'))).code).toBe(0)
  writeFileSync(at('out/one-saliency.png'), 'mine')
  const refused = await explain(files.slice(0, 1), at('out'), '--method', 'saliency')
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringMatching(/FILE_WRITE: .*one-saliency\.png/) })
  expect(readFileSync(at('out/one-saliency.png'), 'utf8')).toBe('mine')
})

test('refuses what it cannot do', async () => {
  const refused = async (out: string, more: string[], message: RegExp) =>
    expect((await explain([at('a/one.png')], out, ...more)).stderr).toMatch(message)
  await refused(at('bad.png'), [], /^vggnet: FILE_WRITE: [^\n]+\n$/)
  await refused(at('new'), ['--class', '3'], /^vggnet: INVALID_ARGUMENT: .*--class/)
  await refused(at('new'), ['--layer', 'fc7'], /^vggnet: INVALID_ARGUMENT: .*'fc7'/)
  await refused(at('new'), ['--patch', '8'], /no --patch with --method grad-cam: it is a flag of --method occlusion/)
  mkdirSync(at('folder/explanations.json'), { recursive: true })
  await refused(at('folder'), [], /^vggnet: FILE_WRITE: .*explanations\.json/)
})
