import { existsSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { paddedDataset } from '../../lib/data/derived.js'
import { train } from '../../lib/train/trainer.js'
import { newFolder } from '../setup/folder.js'
import { smallNet, stripes } from '../setup/stripes.js'

test('a training that is refused has made no folder and frozen no layer', async () => {
  const data = stripes(8, 1)
  const net = await smallNet()
  const folder = path.join(newFolder(), 'checkpoints')
  const options = { batch: 4, epochs: 1, checkpoint: { folder }, freeze: ['conv1_1'] }
  const large = paddedDataset(data, { height: 64, width: 64 })
  await expect(train(net, large, options)).rejects.toThrow(/network's size for data but .* 64x64.* a map of 2x2/)
  await expect(train(net, data, { ...options, momentum: 1 })).rejects.toThrow(/momentum/)
  expect(net.frozen).toEqual([])
  net.dispose()
  await expect(train(net, data, options)).rejects.toMatchObject({ code: 'DISPOSED' })
  expect(existsSync(folder)).toBe(false)
})
