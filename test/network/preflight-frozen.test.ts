import { stripVTControlCharacters } from 'node:util'
import { describe, expect, it } from 'vitest'
import { type PreflightReport, preflightLines } from '../../lib/check/preflight-report.js'
import { train } from '../../lib/train/trainer.js'
import { newFolder } from '../setup/folder.js'
import { smallNet, stripes } from '../setup/stripes.js'
import { checked } from './checked.js'

const freeze = ['conv1', 'conv2', 'conv3', 'conv4']
const data = { training: stripes(64, 1), validation: stripes(22, 5) }
const usual = { ...data, freeze, batch: 16, epochs: 3 }

const lines = (report: PreflightReport): string => preflightLines(report).map(stripVTControlCharacters).join('\n')

/** What the training itself says of its frozen layers. */
async function noticeOf({ training, ...options }: typeof usual & { flip?: boolean; shift?: number }): Promise<string> {
  using net = await smallNet()
  const notices: string[] = []
  const checkpoint = { folder: newFolder() }
  await train(net, training, { ...options, checkpoint, onNotice: (text) => void notices.push(text) })
  return notices.join().replace(/ in \/.*/, ' beside the checkpoints')
}

describe('frozen leading layers', () => {
  it('are computed once, as the training says, and the epochs start from their output', async () => {
    const report = await checked({}, { ...usual, flip: true })
    const layers = ['conv1_1', 'conv2_1', 'conv3_1', 'conv3_2', 'conv4_1', 'conv4_2']
    const bytes = (2 * 64 + 22) * 64 * 2 * 2 * 4
    const expected = { layers, tensor: 'pool4', images: 86, mirrored: true, bytes, obstacle: undefined }
    expect(report.frozen).toEqual(expected)
    expect(lines(report)).toContain(`\nfrozen      ${await noticeOf({ ...usual, flip: true })}\n`)
    expect(lines(report)).toMatch(/\ntime .* s for the frozen layers, then .* s per epoch, .* for 3 epochs/)
    const { secondsBefore = 0, secondsPerEpoch = 0, secondsInAll } = report.speed ?? {}
    expect(secondsBefore).toBeGreaterThan(0)
    expect(secondsInAll).toBeCloseTo(secondsBefore + 3 * secondsPerEpoch, 6)
    expect(report.gradients?.layers.map(({ layer }) => layer)).toEqual(['conv5_1', 'conv5_2', 'fc6', 'fc7', 'fc8'])
  })

  it('are computed in each step where that cannot be, with the reason of the training', async () => {
    const report = await checked({}, { ...usual, shift: 1 })
    expect(report.frozen?.obstacle).toMatch(/^the output differs in each epoch; shift: 0 /)
    expect(lines(report)).toContain(`\nfrozen      ${await noticeOf({ ...usual, shift: 1 })}\n`)
    expect(report.speed?.secondsBefore).toBe(0)
    expect((await checked({}, { ...usual, epochs: 1 })).frozen?.obstacle).toMatch(/^1 epoch would not gain/)
  })

  it('are not mentioned where there are none, or where it is not asked for', async () => {
    const learning = await checked({}, { ...usual, freeze: ['conv2'] })
    const off = await checked({}, { ...usual, frozenFeatures: 'off' })
    expect([learning.frozen, off.frozen, off.speed?.secondsBefore]).toEqual([undefined, undefined, 0])
    expect(lines(off)).not.toContain('frozen')
  })

  it('are refused by an unknown name, and where no layer is left to learn', async () => {
    await expect(checked({}, { ...usual, freeze: ['conv9'] })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    const all = checked({}, { ...usual, freeze: ['convolutions', 'head'] })
    await expect(all).rejects.toThrow(/at least one layer left to learn/)
  })
})
