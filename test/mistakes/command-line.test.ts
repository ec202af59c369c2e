import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { save } from '../../lib/checkpoint/checkpoint.js'
import type { ErrorCode } from '../../lib/error.js'
import { commandLine, start } from '../setup/command.js'
import { writeStripes } from '../setup/stripe-files.js'
import { smallNet } from '../setup/stripes.js'
import { typed } from '../setup/typed.js'
import { commandMistakes } from './mistake.js'

commandMistakes('flags', [
  {
    name: 'a value after a flag that takes none, --no-flip=yes',
    words: ['train', 'photos', '--no-flip=yes'],
    status: 2,
    code: 'INVALID_ARGUMENT',
    problem: ["option '--no-flip' takes no value", "'yes'"],
    cure: ['give --flip or --no-flip alone, or leave it out'],
  },
  {
    name: 'a value for the positive name of such a flag, --flip=no',
    words: ['check', 'photos', '--flip=no'],
    status: 2,
    code: 'INVALID_ARGUMENT',
    problem: ["option '--flip' takes no value", "'no'"],
    cure: ['give --flip or --no-flip alone'],
  },
  {
    name: 'a word where a number is expected',
    words: ['train', 'photos', '--scale', '1/0'],
    status: 2,
    code: 'INVALID_ARGUMENT',
    problem: ['--scale', "'1/0'"],
    cure: ['Expected a number, such as 0.5 or 1/58'],
  },
])

const folder = mkdtempSync(path.join(tmpdir(), 'vggnet-mistakes-'))
const at = (name: string): string => path.join(folder, name)
const small = ['--variant', 'A', '--width', '0.125', '--head-width', '32', '--device', 'cpu', '--threads', '1']
const quick = [...small, '--batch', '8', '--epochs', '1']
const stripes = ['--images', at('stripes'), '--labels', at('stripes-labels')]

beforeAll(async () => {
  await writeStripes(folder, 'stripes', 24, 1)
  const net = await smallNet()
  await save(net, at('model'))
  net.dispose()
  writeFileSync(at('text'), 'no image\n')
  mkdirSync(at('photos/cat'), { recursive: true })
  mkdirSync(at('photos/dog'))
  const grey = sharp({ create: { width: 32, height: 32, channels: 3, background: 'grey' } }).png()
  for (const name of ['cat/1', 'cat/2', 'dog/1', 'dog/2']) await grey.toFile(at(`photos/${name}.png`))
  writeFileSync(at('photos/dog/3.png'), 'no image\n')
})
afterAll(() => rmSync(folder, { recursive: true }))

describe('a mistake has one code and one exit code, by each command, with and without the check', () => {
  const commands = { check: ['check'], train: ['train'], 'train --no-check': ['train', '--no-check'] }
  const forms = Object.entries(commands)

  test.each<[string, string[], ErrorCode, number]>([
    ['missing data', [at('none'), ...quick], 'FILE_NOT_FOUND', 1],
    ['a missing IDX file', ['--images', at('none'), '--labels', at('none'), ...quick], 'FILE_NOT_FOUND', 1],
    ['a file that is not IDX', ['--images', at('text'), '--labels', at('text'), ...quick], 'FILE_FORMAT', 1],
    [
      'an unreadable image',
      [at('photos'), '--image-size', '32', '--split', '0', ...quick, '--batch', '2'],
      'FILE_FORMAT',
      1,
    ],
    ['a missing model', [...stripes, '--from', at('none')], 'FILE_NOT_FOUND', 1],
    ['a file that is not a model', [...stripes, '--from', at('text')], 'FILE_FORMAT', 1],
    ['a batch out of range', [...stripes, ...small, '--batch', '70000'], 'INVALID_ARGUMENT', 2],
    ['a list of another kind', [at('text'), ...quick], 'INVALID_ARGUMENT', 2],
    ['a variant that does not exist', [...stripes, '--variant', 'F'], 'INVALID_ARGUMENT', 2],
    ['a layer that does not exist', [...stripes, ...quick, '--freeze', 'conv9'], 'INVALID_ARGUMENT', 2],
    ['fewer classes than the data', [...stripes, ...quick, '--classes', '2'], 'SHAPE_MISMATCH', 1],
    ['a momentum of 1', [...stripes, ...quick, '--momentum', '1'], 'INVALID_ARGUMENT', 2],
    [
      'an option of another schedule',
      [...stripes, ...quick, '--schedule', 'cosine', '--at', '3'],
      'INVALID_ARGUMENT',
      2,
    ],
    ['a device that does not exist', [...stripes, ...quick, '--device', 'gpu'], 'INVALID_ARGUMENT', 2],
  ])('%s: %j', async (_, words, code, status) => {
    const found: Record<string, unknown> = {}
    for (const [name, [command = '', ...flags]] of forms) {
      const out = command === 'train' ? ['--out', at('run')] : []
      const { error, status } = await typed(command, ...words, ...flags, ...out)
      found[name] = [/^vggnet: ([A-Z_]+): /.exec(error)?.[1], status]
      rmSync(at('run'), { recursive: true, force: true })
    }
    expect(found).toEqual(Object.fromEntries(forms.map(([name]) => [name, [code, status]])))
  })
})

describe('a training that is stopped is saved', () => {
  const long = ['train', ...stripes, ...small, '--batch', '8', '--epochs', '30000', '--no-check']

  /** A training whose first epoch is done. */
  async function started(out: string) {
    const training = start(commandLine, [...long, '--out', at(out)])
    const epoch = new Promise<void>((resolve) => {
      training.child.stdout.on('data', (text: string) => /^epoch/m.test(text) && resolve())
    })
    const early = await Promise.race([epoch, training.ended])
    if (early !== undefined) throw new Error(`the training has ended: ${early.stderr}`)
    return training
  }

  test.each([
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)('%s: exit code %d', async (signal, status) => {
    const { child, ended } = await started(signal)
    child.kill(signal)
    const { code, stderr } = await ended
    expect(stderr).toContain(`Interrupted; continue with:\n  npx vggnet train --resume ${at(signal)}\n`)
    expect(code).toBe(status)
    expect(readdirSync(at(`${signal}/checkpoints`))).not.toEqual([])
  })

  test('a closed pipe: exit code 141, and the cure on stderr', async () => {
    const { child, ended } = await started('pipe')
    child.stdout.destroy()
    const { code, stderr } = await ended
    expect(stderr).toContain(`npx vggnet train --resume ${at('pipe')}\n`)
    expect(code).toBe(141)
    expect(readdirSync(at('pipe/checkpoints'))).not.toEqual([])
  })
})

test('a closed pipe ends other commands quietly', async () => {
  const { child, ended } = start(commandLine, ['describe'])
  child.stdout.destroy()
  expect(await ended).toMatchObject({ code: 0, stderr: '' })
})
