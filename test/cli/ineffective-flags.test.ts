import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { save } from '../../lib/checkpoint/checkpoint.js'
import { vggnet } from '../setup/command.js'
import { writeStripes } from '../setup/stripe-files.js'
import { smallNet } from '../setup/stripes.js'

const folder = mkdtempSync(path.join(tmpdir(), 'vggnet-flags-'))
const at = (name: string): string => path.join(folder, name)
const data = ['--images', at('images'), '--labels', at('images-labels')]
const quick = ['--batch', '8', '--epochs', '1', '--device', 'cpu', '--threads', '1']

beforeAll(async () => {
  await writeStripes(folder, 'images', 24, 1)
  const net = await smallNet({ variant: 'B' })
  await save(net, at('model'))
  net.dispose()
  writeFileSync(at('config.json'), '{ "headWidth": 4096 }')
  writeFileSync(at('factors.json'), '{ "rateFactors": { "fc6": 2, "fc9": 10 } }')
})
afterAll(() => rmSync(folder, { recursive: true }))

describe('a flag that would have no effect is refused by name', () => {
  test.each<[string, string[], RegExp]>([
    // A is the default: given all the same
    [
      'train',
      ['--from', at('model'), '--variant', 'A'],
      /variant \(--variant\) than that of .*model, B, but received A/,
    ],
    ['check', ['--from', at('model'), '--config', at('config.json')], /\(--head-width\) .*, 32, but received 4096/],
    [
      'check',
      ['--from', at('model'), '--config', at('factors.json')],
      /for rateFactors \(--rate-factors\) but received 'fc9'/,
    ],
    [
      'check',
      ['--from', at('model'), '--freeze', 'conv6'],
      /for freeze \(--freeze\) but received 'conv6'; did you mean 'conv/,
    ],
    ['train', ['--no-flip'], /no --no-flip, which is for image files/],
    ['train', ['--plan', 'paper', '--initialisation', 'he'], /no --initialisation with --plan paper, which sets it/],
  ])('%s %s', async (command, words, message) => {
    const out = command === 'train' ? ['--out', at('none')] : []
    const { code, stdout, stderr } = await vggnet([command, ...data, ...quick, ...words, ...out])
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(/^vggnet: INVALID_ARGUMENT: [^\n]+\n$/)
    expect(stderr).toMatch(message)
  })
})

test('--dropout together with --from is applied, and run.json has the network of the model and the options of training', async () => {
  const training = ['--schedule', 'milestones', '--at', '1,2', '--drop-last', '--flip']
  const words = ['--from', at('model'), '--dropout', '0', ...training, '--no-check', '--out', at('run')]
  const { code, stderr } = await vggnet(['train', ...data, ...quick, ...words])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const { description } = JSON.parse(readFileSync(at('run/run.json'), 'utf8'))
  expect(description).toMatchObject({
    flip: true,
    training: { dropLast: true, schedule: { kind: 'milestones', at: [1, 2] } },
  })
  expect(description.model).toMatchObject({ variant: 'B', dropout: 0, headWidth: 32, width: 0.125 })
  expect(JSON.parse(readFileSync(at('run/log.jsonl'), 'utf8').split('\n')[0] ?? '')).toMatchObject({
    model: 'VGG B',
    settings: { dropout: 0 },
  })
})
