import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { readFolder } from '../../lib/data/sources/folder.js'
import { lockFolder } from '../../lib/files/folder-lock.js'
import { writeReport } from '../../lib/report/report.js'
import { runHistoryOf } from '../../lib/report/run-history.js'
import type { RunDescription } from '../../lib/run/description.js'
import type { RunFile } from '../../lib/run/folder.js'
import { createRun, runAll } from '../../lib/run/run.js'
import type { CheckpointEvent } from '../../lib/train/events.js'
import { train } from '../../lib/train/trainer.js'
import type { VGG } from '../../lib/vgg/vgg.js'
import { commandLine, root } from '../setup/command.js'
import { newFolder, writeFiles } from '../setup/folder.js'
import { runDescription } from '../setup/run-description.js'
import { smallNet, stripes } from '../setup/stripes.js'
import { commandMistakes, programMistakes } from './mistake.js'

let net: VGG
beforeAll(async () => {
  net = await smallNet({ threads: 1 })
})
afterAll(() => net.dispose())

/** A training of eight steps, to whose folder something happens after the first of its two checkpoints. */
function trainingIn(folder: string, happens: (folder: string) => unknown = () => undefined): Promise<unknown> {
  const onCheckpoint = ({ step }: CheckpointEvent): void => {
    if (step === 4) happens(folder)
  }
  return train(net, stripes(16, 1), { epochs: 2, batch: 4, learningRate: 0.01, checkpoint: { folder }, onCheckpoint })
}

const checkpoints = (): string => path.join(newFolder(), 'checkpoints')

programMistakes('folders of checkpoints', [
  {
    name: 'it is removed during the training',
    make: () => trainingIn(checkpoints(), (folder) => rmSync(folder, { recursive: true })),
    code: 'FILE_WRITE',
    problem: ['checkpoints: the folder was removed', 'while this process wrote'],
    cure: ['make sure that nothing removes it, and start again'],
  },
  {
    name: 'a file takes its place during the training',
    make: () =>
      trainingIn(checkpoints(), (folder) => {
        rmSync(folder, { recursive: true })
        writeFileSync(folder, '')
      }),
    code: 'FILE_WRITE',
    problem: ['checkpoints: the folder was removed'],
    cure: ['make sure that nothing removes it, and start again'],
  },
  {
    name: 'its lock is removed during the training',
    make: () => trainingIn(checkpoints(), (folder) => rmSync(path.join(folder, '.lock'))),
    code: 'FILE_WRITE',
    problem: ['checkpoints: its file .lock was removed'],
    cure: ['make sure that no other process writes there, and continue from the last checkpoint'],
  },
  {
    name: 'it is a file',
    make: () => {
      const folder = checkpoints()
      writeFileSync(folder, '')
      return trainingIn(folder)
    },
    code: 'FILE_WRITE',
    problem: ['/checkpoints: a file of that name exists'],
    cure: ['choose another name'],
  },
  {
    name: 'it lies in a file',
    make: () => {
      const file = path.join(newFolder(), 'notes.txt')
      writeFileSync(file, '')
      return trainingIn(path.join(file, 'checkpoints'))
    },
    code: 'FILE_WRITE',
    problem: ['notes.txt/checkpoints: its folder is a file'],
    cure: ['choose another folder'],
  },
])

/** A folder of two classes, and beside it a link to it. */
function images(): { data: string; link: string } {
  const folder = newFolder()
  const data = path.join(folder, 'photos')
  writeFiles(data, { 'cat/1.png': '', 'cat/2.png': '', 'dog/1.png': '', 'dog/2.png': '' })
  const link = path.join(folder, 'link')
  symlinkSync('photos', link)
  return { data, link }
}

/** Checks the folder of a new run on these images. */
async function newRun(out: string, data: string, changes: Partial<RunDescription['photographs']> = {}): Promise<void> {
  const before = readdirSync(data, { recursive: true })
  const description = runDescription({ data: { kind: 'folder', path: data }, model: { variant: 'A' } })
  const { photographs } = description
  const file = { format: 1, vggnet: '', description: { ...description, photographs: { ...photographs, ...changes } } }
  await createRun(out, file as RunFile).finally(() => expect(readdirSync(data, { recursive: true })).toEqual(before))
}

const apart = {
  code: 'INVALID_ARGUMENT',
  cure: ['choose another one: --out runs/photos'],
} as const

programMistakes('folders of runs', [
  {
    ...apart,
    name: 'the folder of the images',
    make: ({ data } = images()) => newRun(data, data),
    problem: ['photos is the folder of the images'],
  },
  {
    ...apart,
    name: 'the folder of the images through a link',
    make: ({ data, link } = images()) => newRun(link, data),
    problem: ['link is the folder of the images'],
  },
  {
    ...apart,
    name: 'a new folder in a class, by a relative path',
    make: ({ data } = images()) => newRun(path.relative('.', path.join(data, 'cat/a/b')), data),
    problem: ['cat/a/b lies in the folder of the images'],
  },
  {
    ...apart,
    name: 'a new folder in the images, which are a link',
    make: ({ data, link } = images()) => newRun(path.join(data, 'run'), link),
    problem: ['photos/run lies in the folder of the images'],
  },
  {
    ...apart,
    name: 'the folder above the images',
    make: ({ data } = images()) => newRun(path.dirname(data), data),
    problem: ['holds the folder of the images'],
  },
  {
    name: 'a file',
    make: ({ data } = images()) => newRun(path.join(data, 'cat/1.png'), data),
    code: 'INVALID_ARGUMENT',
    problem: ['--out', 'cat/1.png is a file'],
    cure: ['choose another name'],
  },
  {
    name: 'a cache in the folder of the images',
    make: ({ data } = images()) => newRun(path.join(data, '..', 'run'), data, { cache: path.join(data, 'cache') }),
    code: 'INVALID_ARGUMENT',
    problem: ['photos/cache lies in their folder'],
    cure: ['--cache', 'photos/.cache'],
  },
])

/** A run of a stranger in which this file leads to another one. */
async function linkedRun(name: string): Promise<void> {
  const folder = newFolder()
  const other = path.join(folder, 'other.txt')
  writeFiles(folder, { 'other.txt': 'mine', 'run/run.json': '' })
  const run = path.join(folder, 'run')
  rmSync(path.join(run, name), { force: true })
  // a model that exists would end the run at once
  symlinkSync(name === 'model.safetensors' ? path.join(folder, 'new.txt') : other, path.join(run, name))
  const { data } = images()
  const description = runDescription({ data: { kind: 'folder', path: data }, model: { variant: 'A' } })
  const written =
    name === 'report.html'
      ? writeReport(run, { made: '', history: runHistoryOf({ lines: [], torn: false, damaged: [] }) })
      : runAll(run, { format: 1, vggnet: '', description }, {})
  await written.finally(() => {
    expect(readFileSync(other, 'utf8')).toBe('mine')
    expect(readdirSync(folder).sort()).toEqual(['other.txt', 'run'])
  })
}

programMistakes('folders of runs by strangers', [
  ...['run.json', 'log.jsonl', 'model.safetensors', 'report.html'].map((name) => ({
    name: `${name} is a link to a file elsewhere`,
    make: () => linkedRun(name),
    code: 'FILE_WRITE' as const,
    problem: [`run/${name}: it is a symbolic link`, 'would be overwritten'],
    cure: ['remove it (rm), or replace it by a copy'],
  })),
  {
    name: 'a folder where none can be created, without an end in Node',
    make: ({ data } = images()) => newRun('/proc/vggnet/run', data),
    code: 'FILE_WRITE',
    problem: ['/proc/vggnet/run: its folder does not exist'],
    cure: ['create it, or choose another folder'],
  },
])

test('a working folder that was removed is named', () => {
  const command = `mkdir gone && cd gone && rmdir ../gone && exec "$0" "$1" train photos`
  const words = ['-c', command, process.execPath, path.join(root, commandLine)]
  const { status, stderr } = spawnSync('sh', words, { cwd: newFolder(), encoding: 'utf8' })
  expect(stderr).toMatch(/^vggnet: FILE_NOT_FOUND: The working folder was removed: change to a folder that exists/)
  expect(status).toBe(1)
})

commandMistakes('folders of runs', [
  {
    name: '--out in a folder of images, which stays as it is',
    words: ['train', 'docs', '--out', 'docs/api'],
    code: 'INVALID_ARGUMENT',
    problem: ['docs/api lies in the folder of the images'],
    cure: ['choose another one: --out runs/docs'],
    status: 2,
  },
])

programMistakes('parts of the data', [
  {
    name: 'a batch of more images than there are',
    make: () => train(net, stripes(16, 1), { batch: 256 }),
    code: 'INVALID_ARGUMENT',
    problem: ['at most the 16 training images for batch (--batch)', '256'],
    cure: ['leave it out, which makes it 16', 'write 16 for one step in an epoch'],
  },
])

test('a run beside the images, and a cache in a hidden folder of them, are no mistakes', async () => {
  const { data } = images()
  await newRun(path.join(data, '..', 'photos-run'), data, { cache: path.join(data, '.cache') })
})

test('a run that lies in the images is no class: ignored, and named by a warning', async () => {
  const { data } = images()
  const run = JSON.stringify({ format: 1, vggnet: '0.1.0', description: {} })
  // one between the classes, others in a folder of their own, one in the images themselves, and one in a class
  const between = { 'first/run.json': run, 'first/checkpoints/best.safetensors': '', 'runs/1/run.json': run }
  writeFiles(data, { ...between, 'run.json': run, 'checkpoints/best.safetensors': '', 'dog/run.json': run })
  const warnings: string[] = []
  const listen = ({ message }: Error) => warnings.push(message)
  process.on('warning', listen)
  onTestFinished(() => void process.off('warning', listen))
  const { training } = await readFolder(data)
  expect([training.classNames, training.names.length]).toEqual([['cat', 'dog'], 4])
  expect((await readFolder(data, { classNames: ['dog', 'cat'] })).training.labels).toEqual(Int32Array.of(1, 1, 0, 0))
  await new Promise((resolve) => setImmediate(resolve))
  const warning = `Folders of runs in ${data} that are not taken as classes: checkpoints, first, runs`
  expect(warnings).toEqual([warning, warning])
})

/** Allows or forbids changes of a folder: to root too, which ignores permissions. @returns whether it was possible */
function setFrozen(folder: string, isFrozen: boolean): boolean {
  if (process.getuid?.() === 0) return spawnSync('chattr', [isFrozen ? '+i' : '-i', folder]).status === 0
  chmodSync(folder, isFrozen ? 0o555 : 0o755)
  return true
}

function canFreeze(): boolean {
  const folder = mkdtempSync(path.join(tmpdir(), 'vggnet-test-'))
  const done = setFrozen(folder, true) && setFrozen(folder, false)
  rmSync(folder, { recursive: true })
  return done
}

describe.skipIf(!canFreeze())('a folder that becomes read-only during the training', () => {
  test('is named, and what to do', async () => {
    const folder = newFolder()
    onTestFinished(() => void setFrozen(folder, false))
    await expect(trainingIn(folder, () => setFrozen(folder, true))).rejects.toMatchObject({
      code: 'FILE_WRITE',
      message: expect.stringMatching(
        /step-00000008\.safetensors: permission denied; allow it .*or choose another folder/,
      ),
    })
  })

  test('hides no earlier error, and its lock ends with the training', async () => {
    const folder = newFolder()
    onTestFinished(() => void setFrozen(folder, false))
    const failing = trainingIn(folder, () => {
      setFrozen(folder, true)
      throw new RangeError('of the callback')
    })
    await expect(failing).rejects.toThrow(new RangeError('of the callback'))
    expect(readdirSync(folder)).toContain('.lock')
    await (await lockFolder(folder)).release()
  })
})
