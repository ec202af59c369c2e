import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { vggnet } from '../setup/command.js'
import { idxBytes } from '../setup/idx-bytes.js'
import { stripes } from '../setup/stripes.js'

const count = 40
const folder = mkdtempSync(path.join(tmpdir(), 'vggnet-damaged-'))
const at = (name: string): string => path.join(folder, name)
const run = (name: string): string => at(`run/${name}`)
const files = ['--images', at('images'), '--labels', at('labels')]

beforeAll(async () => {
  const data = stripes(count, 9)
  const pixels = new Uint8Array(count * 1024)
  const all = Int32Array.from({ length: count }, (_, index) => index)
  await data.read(all, pixels)
  writeFileSync(at('images'), idxBytes([count, 32, 32], pixels))
  writeFileSync(at('labels'), idxBytes([count], Uint8Array.from(data.labels)))
  const net = ['--width', '0.02', '--head-width', '4', '--threads', '1', '--device', 'cpu', '--seed', '4']
  const training = ['--no-check', '--batch', '10', '--epochs', '3', '--split', '0.25', '--schedule', 'cosine']
  const { code, stderr } = await vggnet(['train', ...files, ...net, ...training, '--out', at('run')])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
})
afterAll(() => rmSync(folder, { recursive: true }))

/** Flips a bit of the first parameter. */
function flip(file: string): void {
  const bytes = readFileSync(file)
  bytes[8 + Number(bytes.readBigUInt64LE())] ^= 4
  writeFileSync(file, bytes)
}

test('train --resume continues from the checkpoint before a damaged one, with a damaged log, to the same bytes', async () => {
  const model = readFileSync(run('model.safetensors'))
  rmSync(run('model.safetensors'))
  renameSync(run('checkpoints/step-00000009.safetensors'), at('kept'))
  mkdirSync(run('checkpoints/step-00000009.safetensors'))
  const log = readFileSync(run('log.jsonl'))
  log.fill(0, 600, 1000)
  writeFileSync(run('log.jsonl'), log)
  const { code, stdout, stderr } = await vggnet(['train', '--resume', at('run')])
  expect(stderr).toMatch(
    /^skipped \S+step-00000009\.safetensors: \S+ is not a file: .*\nskipped damaged lines of \S+log\.jsonl: [\d, ]+; the original log is kept as \S+log\.jsonl\.left\n$/,
  )
  expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining('resuming after step 6') })
  expect(readFileSync(run('model.safetensors')).equals(model)).toBe(true)
  expect(readFileSync(run('checkpoints/step-00000009.safetensors')).equals(readFileSync(at('kept')))).toBe(true)
  expect(existsSync(run('checkpoints/step-00000009.safetensors.left'))).toBe(true)
})

test('evaluate and report use the next model where the best is damaged, and print why', async () => {
  flip(run('checkpoints/best.safetensors'))
  const evaluated = await vggnet(['evaluate', at('run'), ...files, '--part', 'all', '--json'])
  const passedOver = /^vggnet: skipped \S+best\.safetensors: The tensor \S+ does not agree with the checksum/
  expect(evaluated).toMatchObject({ code: 0, stderr: expect.stringMatching(passedOver) })
  expect(JSON.parse(evaluated.stdout)).toMatchObject({ count })
  flip(run('model.safetensors'))
  for (const step of [6, 9]) flip(run(`checkpoints/step-0000000${step}.safetensors`))
  const reported = await vggnet(['report', at('run')])
  expect(reported).toMatchObject({ code: 0, stderr: expect.stringMatching(/^(vggnet: skipped .*\n){4}$/) })
  const none = await vggnet(['evaluate', at('run'), ...files])
  expect(none).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/FILE_NOT_FOUND: .* has no model that can be used\n$/),
  })
})
