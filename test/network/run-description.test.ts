import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { paddedDataset } from '../../lib/data/derived.js'
import { arrayDataset } from '../../lib/data/sources/arrays.js'
import { meanOf } from '../../lib/data/statistics.js'
import { fitted } from '../../lib/run/fitted.js'
import { findSources } from '../../lib/run/sources.js'
import { newFolder } from '../setup/folder.js'
import { idxBytes } from '../setup/idx-bytes.js'
import { runDescription } from '../setup/run-description.js'

test('the mean is that of what the network sees: of the padded images, border included, unmoved', async () => {
  const folder = newFolder()
  const [images, labels] = [path.join(folder, 'images'), path.join(folder, 'labels')]
  const pixels = Uint8Array.from({ length: 6 * 28 * 28 }, (_, index) => (index * 7) & 255)
  writeFileSync(images, idxBytes([6, 28, 28], pixels))
  writeFileSync(labels, idxBytes([6], Uint8Array.of(0, 1, 0, 1, 0, 1)))
  const data = { kind: 'idx', images, labels } as const
  const description = runDescription({
    data,
    validation: 0,
    background: 9,
    shift: 3,
    model: { variant: 'A', initialisation: 'he' },
  })
  const sources = await findSources(description)
  const { model } = await fitted(description, sources)
  const small = arrayDataset({ images: pixels, shape: [6, 28, 28, 1], labels: [0, 1, 0, 1, 0, 1] })
  expect(model.meanRgb).toEqual(await meanOf(paddedDataset(small, { height: 32, width: 32 }, 9)))
  expect(model.meanRgb).not.toEqual(await meanOf(small))
  // larger still where a larger network is asked for; what a description states is kept
  const large = await fitted(
    { ...description, model: { variant: 'A', initialisation: 'he', imageSize: [40, 48] } },
    sources,
  )
  expect(large.model.meanRgb).toEqual(await meanOf(paddedDataset(small, { height: 40, width: 48 }, 9)))
  expect((await fitted({ ...description, model: { ...model, meanRgb: [71.9] } }, sources)).model.meanRgb).toEqual([
    71.9,
  ])
})
