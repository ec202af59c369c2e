import { existsSync, readdirSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { commandLine, start, vggnet } from '../setup/command.js'
import { writeDigitPhotos } from '../setup/digit-photos.js'

let folder: string
const at = (name: string): string => path.join(folder, name)

const small = ['--image-size', '32', '--width', '0.125', '--head-width', '16', '--threads', '1', '--device', 'cpu']
const words = (out: string): string[] => [
  ...['train', at('photos'), '--variant', 'B', '--plan', 'paper-transplant', ...small],
  ...['--epochs', '3', '--batch', '10', '--minutes', '0.001', '--seed', '5', '--no-check', '--out', out],
]

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'vggnet-plan-'))
  await writeDigitPhotos(at('photos'), 3, 14)
})
afterAll(() => rm(folder, { recursive: true }))

const checkpointsIn = (stage: string): string[] => {
  const position = path.join(at('killed'), stage, 'checkpoints')
  return existsSync(position) ? readdirSync(position).filter((name) => name.startsWith('step-')) : []
}

/** Kills the process as soon as the training in this folder of the plan has saved something. */
async function killedIn(stage: string, command: readonly string[]): Promise<void> {
  const { child, ended } = start(commandLine, command)
  let over = false
  ended.then(() => {
    over = true
  })
  while (checkpointsIn(stage).length === 0 && !over) await pause(5)
  child.kill('SIGKILL')
  const { code, stdout, stderr } = await ended
  expect(code, stdout + stderr).toBeUndefined()
}

test('paper-transplant, killed twice on its way, ends with the bytes of the undisturbed plan', async () => {
  const undisturbed = await vggnet(words(at('undisturbed')))
  expect(undisturbed).toMatchObject({ code: 0, stderr: '' })
  const stages = ['1-A-256', '2-B-256', '3-B-384', '4-B-256-512']
  for (const [index, stage] of stages.entries()) {
    expect(undisturbed.stdout).toContain(`${index + 1} of 4: ${stage}`)
  }
  await killedIn('1-A-256', words(at('killed')))
  await killedIn('3-B-384', ['train', '--resume', at('killed')])
  const { code, stdout } = await vggnet(['train', '--resume', at('killed')])
  expect(code).toBe(0)
  expect(stdout).not.toContain('2 of 4')
  expect(stdout).toContain('4 of 4: 4-B-256-512')
  for (const name of [...stages.map((stage) => `${stage}/model.safetensors`), 'model.safetensors']) {
    const models = ['killed', 'undisturbed'].map((out) => readFile(at(`${out}/${name}`)))
    expect(Buffer.compare(...((await Promise.all(models)) as [Buffer, Buffer])), name).toBe(0)
  }
  const reported = await vggnet(['report', at('killed')])
  expect(reported.stdout.trimEnd().split('\n')).toHaveLength(4)
})
