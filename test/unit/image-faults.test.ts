import { rmSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { imageBytes } from '../../lib/data/dataset.js'
import { photoDataset } from '../../lib/data/sources/photo-dataset.js'
import { newFolder } from '../setup/folder.js'
import { all, claimsToBe, colour, gradient, listOf, packed, randomsOf } from '../setup/photos.js'

/** An encoded image of 60x80. */
let map: Buffer

beforeAll(async () => {
  map = await packed(gradient(60, 80)).png().toBuffer()
})

describe('unreadable images', () => {
  /** Good and bad files; the reasons belong to positions 1, 2, 4, 5, 6, 8. */
  async function mixed(): Promise<string[]> {
    const folder = newFolder()
    const cut = map.subarray(0, map.length >> 1)
    const files: [string, Uint8Array][] = [
      ['0.png', map],
      ['1-empty.png', new Uint8Array(0)],
      ['2-cut.png', cut],
      ['3.jpg', await packed(gradient(30, 30)).jpeg().toBuffer()],
      ['4-text.jpg', Buffer.from('<html>not found</html>')],
      ['5-huge.png', await claimsToBe(40000, 40000)],
      ['6-gone.jpg', map],
      ['7.webp', await packed(gradient(30, 50)).webp().toBuffer()],
      ['8-random.gif', Buffer.from('GIF89a but no image follows')],
    ]
    for (const [name, bytes] of files) writeFileSync(path.join(folder, name), bytes)
    rmSync(path.join(folder, '6-gone.jpg'))
    return files.map(([name]) => path.join(folder, name))
  }
  const reasons = [
    [1, /^it is empty: /],
    [2, /^it is truncated, its end is missing: copy or download it again$/],
    [4, /^it is an HTML page, .*: download the file again$/],
    [5, /40000x40000 pixels, more than the limit/],
    [6, /^no such file$/],
    [8, /^its header is damaged or cut off$/],
  ] as const

  test('skip: they are reported with position, path and reason, their bytes are 0, and the others are read', async () => {
    const files = await mixed()
    const data = photoDataset(listOf(files), { crop: 16, smallestSide: 24, onUnreadable: 'skip', colour, workers: 3 })
    const bytes = imageBytes(data)
    const into = new Uint8Array(9 * bytes).fill(77)
    const check = (unreadable: readonly { position: number; name: string; reason: string }[]) => {
      expect(unreadable.map(({ position }) => position)).toEqual([1, 2, 4, 5, 6, 8])
      for (const [position, reason] of reasons) {
        const fault = unreadable.find((one) => one.position === position)
        expect(fault?.name).toBe(files[position])
        expect(fault?.reason).toMatch(reason)
        expect(new Set(into.subarray(position * bytes, (position + 1) * bytes))).toEqual(new Set([0]))
      }
      for (const position of [0, 3, 7]) expect(into[position * bytes + 2]).toBeGreaterThan(20)
    }
    check(await data.read(all(9), into))
    into.fill(77)
    const augmented = await data.readAugmented?.(all(9), randomsOf(9), into)
    check(augmented?.unreadable ?? [])
    for (const [position] of reasons) {
      expect(augmented?.flip?.[position]).toBe(0)
      expect([...(augmented?.shift?.subarray(3 * position, 3 * position + 3) ?? [])]).toEqual([0, 0, 0])
    }
  })

  test('throw: the error is that of the first one in the order of the indices, for any number of workers', async () => {
    const files = await mixed()
    const sources = files.map((file) => async () => {
      // the first fault takes longest
      await new Promise((resolve) => setTimeout(resolve, file.includes('4-text') ? 30 : 1))
      return readFile(file)
    })
    for (const workers of [1, 2, 9]) {
      const data = photoDataset({ ...listOf(files), sources }, { crop: 16, workers })
      const into = new Uint8Array(9 * imageBytes(data))
      const wanted = [0, 4, 1, 3, 8, 2, 5, 6, 7]
      const error = await data.read(Int32Array.from(wanted), into).catch((reason: unknown) => reason)
      expect(error).toMatchObject({
        code: 'FILE_FORMAT',
        message: expect.stringMatching(/4-text\.jpg but it is an HTML page/),
      })
      // later reads work
      expect(await data.read(Int32Array.of(0, 3), into.subarray(0, 2 * imageBytes(data)))).toEqual([])
    }
  })

  test('throw, the default: a missing file is FILE_NOT_FOUND with its path', async () => {
    const missing = path.join(newFolder(), 'gone.jpg')
    const data = photoDataset(listOf([map, missing]), { crop: 16 })
    const into = new Uint8Array(2 * imageBytes(data))
    const error = { code: 'FILE_NOT_FOUND', message: `No file at ${missing}` }
    await expect(data.read(all(2), into)).rejects.toMatchObject(error)
    await expect(data.readAugmented?.(all(2), randomsOf(2), into)).rejects.toMatchObject(error)
  })

  test('an error of the caller is not skipped', async () => {
    const data = photoDataset(listOf([map]), { crop: 16, onUnreadable: 'skip' })
    const into = new Uint8Array(imageBytes(data))
    await expect(data.readAugmented?.(all(1), [], into)).rejects.toMatchObject({ code: 'INTERNAL' })
  })

  test('pixelLimit', async () => {
    const data = (pixelLimit: number) => photoDataset(listOf([map]), { crop: 16, smallestSide: 16, pixelLimit })
    await expect(data(4799).read(all(1), new Uint8Array(768))).rejects.toThrow(
      /60x80 pixels, more than the limit of 4799/,
    )
    expect(await data(4800).read(all(1), new Uint8Array(768))).toEqual([])
  })
})
