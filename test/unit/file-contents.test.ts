import { spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { contentsOf } from '../../lib/check/duplicates.js'

describe('digests of files', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'contents-'))
  })
  afterEach(() => rm(folder, { recursive: true }))

  /** Files with these contents; their paths. */
  const written = (contents: readonly (string | Uint8Array)[]): Promise<string[]> =>
    Promise.all(
      contents.map(async (content, index) => {
        const file = path.join(folder, String(index))
        await writeFile(file, content)
        return file
      }),
    )

  it('are equal only where all bytes are, also after long equal beginnings', async () => {
    const long = new Uint8Array(100_000).fill(7)
    const other = Uint8Array.from(long)
    other[99_999] = 8
    const [a, b, c, d] = await contentsOf(await written([long, other, long, 'short']))
    expect(a).toMatch(/^.{44}$/)
    expect(c).toBe(a)
    expect(b).not.toBe(a)
    expect(d).toBeUndefined()
  })

  it('exist for empty files, and not for files that differ in size or beginning', async () => {
    const contents = await contentsOf(await written(['', '', 'abc', 'abd', 'four']))
    expect(contents[0]).toBe(contents[1])
    expect(contents.slice(2)).toEqual([undefined, undefined, undefined])
  })

  it('of memory and of functions equal those of files', async () => {
    const bytes = new TextEncoder().encode('abc')
    const [file = ''] = await written(['abc'])
    const contents = await contentsOf([file, bytes, async () => bytes, async () => new Uint8Array(3)])
    expect(new Set(contents.slice(0, 3)).size).toBe(1)
    expect(contents[3]).not.toBe(contents[0])
  })

  it('are undefined for what is missing, a folder, a pipe, or throws; nothing waits', async () => {
    const pipe = path.join(folder, 'pipe')
    expect(spawnSync('mkfifo', [pipe]).status).toBe(0)
    const throws = () => Promise.reject(new Error('gone'))
    const contents = await contentsOf([path.join(folder, 'missing'), folder, pipe, pipe, throws])
    expect(contents).toEqual(Array(5).fill(undefined))
  })

  it('are computed for many files, with progress', async () => {
    const files = await written(Array.from({ length: 300 }, (_, index) => `image ${String(index % 299).padStart(3)}`))
    const told: number[] = []
    const contents = await contentsOf(files, undefined, (done, of) => told.push(done, of))
    expect(contents.flatMap((content, index) => (content === undefined ? [] : [index]))).toEqual([0, 299])
    expect(told).toEqual([0, 300])
  })

  it('are aborted by a signal', async () => {
    const files = await written(['a', 'b'])
    await expect(contentsOf(files, AbortSignal.abort())).rejects.toMatchObject({ code: 'ABORTED' })
  })
})
