import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, describe, expect, test } from 'vitest'
import { newestCheckpoint } from '../../lib/checkpoint/checkpoint-folder.js'
import { decode } from '../../lib/checkpoint/safetensors.js'
import { loadNewestTraining } from '../../lib/train/load-training.js'
import { train } from '../../lib/train/trainer.js'
import type { VGG } from '../../lib/vgg/vgg.js'
import { newFolder } from '../setup/folder.js'
import { sealed } from '../setup/model-file.js'
import { smallNet, stripes } from '../setup/stripes.js'

const nets: VGG[] = []

afterEach(() => {
  for (const net of nets.splice(0)) net.dispose()
})

async function opened(): Promise<VGG> {
  const net = await smallNet({ threads: 1 })
  nets.push(net)
  return net
}

const data = stripes(16, 1)
const quick = { epochs: 2, batch: 4, learningRate: 0.01 }

/** A folder with the checkpoints of a training of 8 steps. */
async function filledFolder(keep = 3): Promise<string> {
  const folder = newFolder()
  await train(await opened(), data, { ...quick, checkpoint: { folder, everySteps: 2, keep } })
  return folder
}

const names = (folder: string): string[] => readdirSync(folder).sort()
const nameOf = (step: number): string => `step-0000000${step}.safetensors`

describe('the newest checkpoint', () => {
  test('is the last of those that remain', async () => {
    const folder = await filledFolder()
    expect(names(folder)).toEqual([4, 6, 8].map(nameOf))
    expect(await newestCheckpoint(folder)).toEqual({ path: path.join(folder, nameOf(8)), step: 8, passedOver: [] })
  })

  test('is complete: a truncated one and one with a flipped bit are skipped, and reported', async () => {
    const folder = await filledFolder()
    const [older = '', cut = '', flipped = ''] = names(folder).map((name) => path.join(folder, name))
    truncateSync(cut, statSync(cut).size - 100)
    const bytes = readFileSync(flipped)
    bytes[bytes.length - 5000] ^= 4
    writeFileSync(flipped, bytes)
    expect(await newestCheckpoint(folder)).toEqual({
      path: older,
      step: 4,
      passedOver: [
        {
          path: flipped,
          reason: expect.stringMatching(/The tensor \S+ does not agree with the checksum of the file: it is damaged/),
        },
        { path: cut, reason: expect.stringMatching(/truncated/) },
      ],
    })
    truncateSync(older, 10)
    await expect(newestCheckpoint(folder)).rejects.toMatchObject({
      code: 'FILE_FORMAT',
      message: expect.stringMatching(
        /Expected a checkpoint that can be used in .*, but of 3 none can: .* does not agree/,
      ),
    })
  })

  test('of a newer format is not skipped', async () => {
    const folder = await filledFolder(1)
    const { tensors, metadata } = decode(readFileSync(path.join(folder, nameOf(8))))
    writeFileSync(path.join(folder, nameOf(9)), await sealed(tensors, { ...metadata, version: '3' }))
    await expect(newestCheckpoint(folder)).rejects.toMatchObject({
      code: 'FILE_FORMAT',
      message: expect.stringMatching(
        /Expected version 1 or 2 of the format, which vggnet .* reads, but found 3: install a newer vggnet/,
      ),
    })
  })

  test('is undefined if there is none', async () => {
    expect(await newestCheckpoint(newFolder())).toBeUndefined()
    expect(await newestCheckpoint(path.join(newFolder(), 'absent'))).toBeUndefined()
    await expect(newestCheckpoint('')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  test('is loaded by loadNewestTraining, which skips those that are damaged', async () => {
    const folder = await filledFolder()
    const last = path.join(folder, nameOf(8))
    truncateSync(last, statSync(last).size - 100)
    const found = await loadNewestTraining(folder, { threads: 1 })
    if (found) nets.push(found.net)
    expect(found).toMatchObject({ path: path.join(folder, nameOf(6)), step: 6, passedOver: [{ path: last }] })
    expect(found?.net.trainingStep).toBe(6)
    expect(found?.state.step).toBe(6)
    expect(await loadNewestTraining(newFolder())).toBeUndefined()
    await expect(loadNewestTraining('')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })
})

/** Runs a program in a new process, started through a shell command. */
async function programBy(shell: (node: string) => string, body: string) {
  const text = body
    .replaceAll('vggnet-lib/', `${pathToFileURL('lib')}/`)
    .replaceAll('vggnet-test/', `${pathToFileURL('test')}/`)
  const file = path.join(newFolder(), 'program.mts')
  writeFileSync(file, text)
  const child = spawn('sh', ['-c', shell(`${process.execPath} --import tsx ${file}`)])
  let [out, error] = ['', '']
  child.stdout.on('data', (bytes) => (out += bytes))
  child.stderr.on('data', (bytes) => (error += bytes))
  const code = await new Promise((resolve) => child.on('close', resolve))
  return { code, out: out.trim(), error }
}

const preface = `
  import { train } from 'vggnet-lib/train/trainer.ts'
  import { smallNet, stripes } from 'vggnet-test/setup/stripes.ts'
  const net = await smallNet({ threads: 1 })
  const attempt = (folder, more) =>
    train(net, stripes(16, 1), { epochs: 2, batch: 4, learningRate: 0.01, checkpoint: { folder, everySteps: 2 }, ...more })
      .then(() => 'done', (error) => error.code + ' ' + error.message)
`

describe('two trainings in one folder', () => {
  test('the second is refused, in this process and in another; then the folder is free again', async () => {
    const folder = newFolder()
    let second: unknown
    let third: unknown
    const onEpoch = async (): Promise<void> => {
      if (second !== undefined) return
      second = await train(await opened(), data, { ...quick, checkpoint: { folder } }).catch((error) => error)
      third = await programBy((node) => node, `${preface}\nconsole.log(await attempt('${folder}'))`)
    }
    await train(await opened(), data, { ...quick, checkpoint: { folder }, onEpoch })
    const message = new RegExp(`Expected ${folder} to be free, but process ${process.pid} on .* writes there`)
    expect(second).toMatchObject({ code: 'FOLDER_IN_USE', message: expect.stringMatching(message) })
    expect(third).toMatchObject({ code: 0, out: expect.stringMatching(/^FOLDER_IN_USE /), error: '' })
    expect(names(folder)).toEqual([4, 8].map(nameOf))
  })

  test('a new training does not write between the checkpoints of another', async () => {
    const folder = await filledFolder()
    await expect(train(await opened(), data, { ...quick, checkpoint: { folder } })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(/Expected no checkpoints of another training in .* found step-00000008/),
    })
    expect(names(folder)).toEqual([4, 6, 8].map(nameOf))
  })
})

describe('what cannot be written', () => {
  const failed = /^FILE_WRITE Could not write .*step-0000000\d.safetensors: (.*); .+$/

  // A checkpoint takes 1.2 MB.
  test('a full disk ends the training with a clear error; earlier checkpoints are intact', async (context) => {
    const mountable = spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'none', newFolder()]).status === 0
    if (!mountable) context.skip('a file system cannot be mounted here')
    const folder = newFolder()
    const { code, out, error } = await programBy(
      (node) => `exec unshare -rm sh -c 'mount -t tmpfs -o size=3m none ${folder} && exec ${node}'`,
      `${preface}
      import { readdirSync } from 'node:fs'
      import { newestCheckpoint } from 'vggnet-lib/checkpoint/checkpoint-folder.ts'
      const message = await attempt('${folder}', { checkpoint: { folder: '${folder}', everySteps: 1, keep: 5 } })
      const loss = (await net.step((await import('vggnet-lib/tensor.ts')).Tensor.zeros([1, 1, 32, 32]), [1], { learningRate: 0.01 })).loss
      console.log(JSON.stringify([message, readdirSync('${folder}').sort(), (await newestCheckpoint('${folder}')).step, loss > 0]))`,
    )
    expect({ code, error }).toEqual({ code: 0, error: '' })
    const [message, left, newest, usable] = JSON.parse(out)
    expect(message).toMatch(failed)
    expect(message).toMatch(/no space left on the device/)
    expect([left, newest, usable]).toEqual([[nameOf(1), nameOf(2)], 2, true])
  })

  test('a file larger than the system allows does the same', async () => {
    const folder = newFolder()
    const body = `${preface}\nconsole.log(await attempt('${folder}'))`
    const { code, out, error } = await programBy((node) => `ulimit -f 1000; exec ${node}`, body)
    expect({ code, error }).toEqual({ code: 0, error: '' })
    expect(failed.exec(out)?.[1]).toMatch(/larger than the system allows/)
    expect(names(folder)).toEqual([])
  })

  test('a folder without write permission, and one that is a file', async () => {
    const folder = newFolder()
    mkdirSync(path.join(folder, 'closed'), { mode: 0o555 })
    writeFileSync(path.join(folder, 'file'), '')
    // root may write everywhere
    const asOther = process.getuid?.() === 0 ? 'process.seteuid(65534)' : ''
    const { out } = await programBy(
      (node) => node,
      `${preface}\n${asOther}
      for (const name of ['closed', 'file', 'closed/inner']) console.log(await attempt('${folder}/' + name))`,
    )
    const lines = out.split('\n')
    expect(lines).toHaveLength(3)
    for (const line of lines)
      expect(line).toMatch(/^FILE_WRITE Could not write .*: (permission denied|a file of that name exists); .+$/)
  })

  test('a failing callback ends the training', async () => {
    const folder = newFolder()
    const thrown = new Error('of my own')
    const before = (): void => {
      throw thrown
    }
    await expect(train(await opened(), data, { ...quick, checkpoint: { folder, before } })).rejects.toBe(thrown)
    expect(names(folder)).toEqual([])
  })
})
