import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { readFile, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { removeOld } from '../../lib/checkpoint/checkpoint-folder.js'
import { decode, encodeHeader, type TensorInfo } from '../../lib/checkpoint/safetensors.js'
import { load, loadTraining, newestCheckpoint, train, type VGG } from '../../lib/index.js'
import { encodeState, stateCheck } from '../../lib/train/training-state.js'
import { newFolder } from '../setup/folder.js'
import { sealed } from '../setup/model-file.js'
import { smallNet, stripes } from '../setup/stripes.js'

const kept = mkdtempSync(path.join(tmpdir(), 'vggnet-damaged-'))
let whole = ''
let net: VGG
beforeAll(async () => {
  net = await smallNet({ threads: 1, width: 0.02, headWidth: 4 })
  const options = { validation: stripes(8, 2), epochs: 1, batch: 8, learningRate: 0.01, checkpoint: { folder: kept } }
  whole = (await train(net, stripes(16, 1), options)).checkpoint ?? ''
})
afterAll(() => {
  net.dispose()
  rmSync(kept, { recursive: true })
})

/** The header of the checkpoint with one more table, in a sparse file with room for it. */
async function withTable(file: string, elements: number, size: (needed: number) => number): Promise<void> {
  const { tensors, metadata } = decode(await readFile(whole))
  const { checksums: _, headerChecksum: __, ...older } = metadata
  const huge: TensorInfo = { name: 'table/huge', dtype: 'I32', shape: [elements] }
  const { header, entries } = encodeHeader([...tensors, huge], older)
  await writeFile(file, header)
  await truncate(file, size(header.length + (entries.at(-1)?.end ?? 0)))
}

/** A file of the system that exists, and fails to be read. */
const unreadable = '/sys/class/net/lo/speed'

const damages: [string, (file: string) => unknown, RegExp][] = [
  [
    'a table of 5 GiB in a sparse file',
    (file) => withTable(file, 5 * 2 ** 28, (needed) => needed),
    /tables of at most/,
  ],
  ['a table of 2^40 elements', (file) => withTable(file, 2 ** 40, () => 100_000), /is it truncated\?/],
  [
    'a header of 2^53 bytes',
    (file) => writeFile(file, Buffer.from([0, 0, 0, 0, 0, 0, 32, 0, 123])),
    /9007199254740992/,
  ],
  ['nothing in it', (file) => writeFile(file, ''), /it is empty/],
  ['a folder of its name', (file) => mkdirSync(file), /is not a file/],
  ['a pipe of its name', (file) => spawnSync('mkfifo', [file]), /is not a file/],
  ['a link to nothing', (file) => symlinkSync('absent', file), /There is no file/],
  ['a link to itself', (file) => symlinkSync(file, file), /Could not open .*ELOOP/],
]
if (existsSync(unreadable)) {
  damages.push([
    'an error when it is read',
    (file) => symlinkSync(unreadable, file),
    /It could not be read at byte 0: E/,
  ])
}

describe('a newest checkpoint that has', () => {
  test.each(damages)('%s is skipped with its reason', async (_, damage, reason) => {
    const folder = newFolder()
    const [older, newest] = ['step-00000002.safetensors', 'step-00000009.safetensors'].map((name) =>
      path.join(folder, name),
    ) as [string, string]
    copyFileSync(whole, older)
    await damage(newest)
    const passedOver = [{ path: newest, reason: expect.stringMatching(reason) }]
    expect(await newestCheckpoint(folder)).toEqual({ path: older, step: 2, passedOver })
    for (const open of [load, loadTraining]) {
      await expect(open(newest)).rejects.toMatchObject({ code: expect.stringMatching(/^FILE_(FORMAT|NOT_FOUND)$/) })
    }
    rmSync(older)
    await expect(newestCheckpoint(folder)).rejects.toMatchObject({
      code: 'FILE_FORMAT',
      message: expect.stringMatching(reason),
    })
  })
})

test('a folder with the name of an old checkpoint does not end a training that removes old ones', async () => {
  const folder = newFolder()
  for (const name of ['step-00000001.safetensors', 'step-00000003.safetensors'])
    copyFileSync(whole, path.join(folder, name))
  mkdirSync(path.join(folder, 'step-00000002.safetensors'))
  await removeOld(folder, 4, 1)
  expect(readdirSync(folder)).toEqual(['step-00000002.safetensors'])
})

test('a state of so many classes that a confusion matrix exceeds memory is read, and its matrix refused', async () => {
  const { tensors, metadata } = decode(await readFile(whole))
  const state = JSON.parse(metadata.training ?? '')
  const changed = { ...state, classes: Array.from({ length: 200_000 }, () => '') }
  const file = path.join(newFolder(), 'file')
  await writeFile(file, await sealed(tensors, { ...metadata, training: JSON.stringify(changed) }))
  const { net, state: read } = await loadTraining(file)
  net.dispose()
  const { validation } = read.history[0] ?? {}
  expect(validation).toMatchObject({ count: 8 })
  expect(validation?.perClass).toHaveLength(200_000)
  expect(() => validation?.confusion).toThrow(
    expect.objectContaining({
      code: 'OUT_OF_MEMORY',
      message: expect.stringMatching(
        /^Expected room for a confusion matrix of 200000 classes, which takes 298.0 GiB, /,
      ),
    }),
  )
})

test('twenty epochs of 5,000 classes take what was counted: nothing makes a matrix until it is read', async () => {
  const { tensors, metadata } = decode(await readFile(whole))
  const state = JSON.parse(metadata.training ?? '')
  const epochs = Array.from({ length: 20 }, (_, index) => index + 1)
  const classes = Array.from({ length: 5000 }, (_, index) => `class ${index}`)
  const nameOf = (epoch: number) => `table/validation/${String(epoch).padStart(6, '0')}/confusion`
  const table = tensors.find(({ name }) => name === nameOf(1))
  if (table === undefined) throw new Error('there is no table')
  const history = epochs.map((epoch) => [epoch, ...state.history[0].slice(1)])
  const others = tensors.filter((tensor) => tensor !== table)
  const tables = epochs.map((epoch) => ({ ...table, name: nameOf(epoch) }))
  const training = JSON.stringify({ ...state, classes, history })
  const file = path.join(newFolder(), 'file')
  await writeFile(file, await sealed([...others, ...tables], { ...metadata, training }))
  const before = process.memoryUsage().heapUsed
  const { net: loaded, state: read } = await loadTraining(file)
  loaded.dispose()
  const encoded = encodeState(stateCheck(read, 'resume'))
  // a matrix takes 200 MB, all of them 4 GB
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(100e6)
  expect(encoded.tables.get('validation/000020/confusion')).toEqual({ shape: table.shape, data: table.data })
  const validation = read.history[19]?.validation
  expect(validation?.perClass.reduce((sum, { count }) => sum + count, 0)).toBe(8)
  expect(validation?.confusion).toHaveLength(5000)
  expect(validation?.confusion.reduce((sum, row) => sum + row.reduce((all, cell) => all + cell, 0), 0)).toBe(8)
})

const cells: [string, number[], number[]][] = [
  ['a class that does not exist', [1, 3], [0, 3, 1]],
  ['a negative class', [1, 3], [-1, 0, 1]],
  ['a cell twice', [2, 3], [0, 1, 1, 0, 1, 2]],
  ['cells out of order', [2, 3], [1, 0, 1, 0, 1, 2]],
  ['no images in a cell', [1, 3], [0, 1, 0]],
  ['one axis', [3], [0, 1, 1]],
  ['two columns', [3, 2], [0, 1, 1, 0, 1, 2]],
]

test.each(cells)('a confusion matrix with %s is refused', async (_, shape, values) => {
  const { tensors, metadata } = decode(await readFile(whole))
  const name = 'table/validation/000001/confusion'
  const changed = tensors.map((tensor) =>
    tensor.name === name ? { ...tensor, shape, data: Int32Array.from(values) } : tensor,
  )
  const file = path.join(newFolder(), 'file')
  for (const kept of [changed, tensors.filter((tensor) => tensor.name !== name)]) {
    await writeFile(file, await sealed(kept, metadata))
    await expect(loadTraining(file)).rejects.toMatchObject({
      code: 'FILE_FORMAT',
      message: expect.stringContaining('The state of the training is not valid: Expected '),
    })
  }
})
