import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { CheckpointEvent } from '../../lib/train/events.js'
import { train } from '../../lib/train/trainer.js'
import type { VGG } from '../../lib/vgg/vgg.js'
import { newFolder } from '../setup/folder.js'
import { smallNet, stripes } from '../setup/stripes.js'
import { programMistakes } from './mistake.js'

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

  test('hides no earlier error: that it cannot be unlocked is a warning', async () => {
    const folder = newFolder()
    onTestFinished(() => void setFrozen(folder, false))
    const warnings: string[] = []
    const listen = ({ message }: Error) => void (message.includes(folder) && warnings.push(message))
    process.on('warning', listen)
    onTestFinished(() => void process.off('warning', listen))
    const failing = trainingIn(folder, () => {
      setFrozen(folder, true)
      throw new RangeError('of the callback')
    })
    await expect(failing).rejects.toThrow(new RangeError('of the callback'))
    await new Promise((resolve) => setImmediate(resolve))
    expect(warnings).toEqual([
      expect.stringMatching(/\.lock: permission denied; .*; the folder stays locked until it is removed$/),
    ])
  })
})
