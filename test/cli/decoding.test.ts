import { readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { vggnet } from '../setup/command.js'
import { writeDigitPhotos } from '../setup/digit-photos.js'
import { newFolder } from '../setup/folder.js'

const svg =
  '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40"><rect width="20" height="40" fill="red"/></svg>'
const small = ['--image-size', '32', '--width', '0.125', '--head-width', '32', '--batch', '4', '--epochs', '1']

test('formats and limits: refused by default, taken by flags, kept in run.json, known to classify', async () => {
  const folder = newFolder()
  const at = (name: string) => path.join(folder, name)
  await writeDigitPhotos(at('photos'), 2, 4)
  writeFileSync(at('photos/digit-1/drawn.svg'), svg)
  symlinkSync('..', at('photos/digit-0/up'))
  const words = ['train', at('photos'), ...small, '--no-check', '--split', '0', '--device', 'cpu']
  const refused = await vggnet([...words, '--out', at('refused')])
  expect(refused.code).toBe(1)
  expect(refused.stderr).toMatch(
    /FILE_FORMAT: .*digit-1\/drawn\.svg but its format is svg, and those allowed are jpeg,/,
  )
  expect(refused.stderr).toMatch(/vggnet: Links that were not followed: .*photos\/digit-0\/up \(it leads to/)
  const limits = ['--formats', 'png,svg', '--pixel-limit', '5000', '--decode-seconds', '20']
  const trained = await vggnet([...words, ...limits, '--out', at('run')])
  expect(trained).toMatchObject({ code: 0, stdout: expect.stringContaining('9 images') })
  const { description } = JSON.parse(readFileSync(at('run/run.json'), 'utf8'))
  expect(description.photographs).toMatchObject({ formats: ['png', 'svg'], pixelLimit: 5000, decodeSeconds: 20 })
  const classify = ['classify', at('run'), at('photos/digit-1/drawn.svg'), '--device', 'cpu']
  expect(await vggnet(classify)).toMatchObject({ code: 1, stderr: expect.stringContaining('its format is svg') })
  expect(await vggnet([...classify, '--formats', 'svg'])).toMatchObject({ code: 0, stderr: '' })
})
