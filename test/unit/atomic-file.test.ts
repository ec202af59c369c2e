import { mkdir, mkdtemp, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { writeAtomically } from '../../lib/files/atomic-file.js'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'vggnet-atomic-'))
})
afterEach(() => rm(folder, { recursive: true }))

const bytes = (text: string) => new TextEncoder().encode(text)

describe('writeAtomically', () => {
  it('writes the parts, replaces what was there, and leaves nothing beside it', async () => {
    const file = path.join(folder, 'x')
    await writeAtomically(file, [bytes('one '), bytes('two')])
    await writeAtomically(file, [bytes('three '), new Uint8Array(0), bytes('four')])
    expect(await readFile(file, 'utf8')).toBe('three four')
    expect(await readdir(folder)).toEqual(['x'])
  })

  it('writes parts of many megabytes whole', async () => {
    const part = new Uint8Array(5_000_001).fill(7)
    await writeAtomically(path.join(folder, 'x'), [part, part])
    expect(Buffer.concat([part, part]).equals(await readFile(path.join(folder, 'x')))).toBe(true)
  })

  it('keeps the old file when a part fails in the middle', async () => {
    const file = path.join(folder, 'x')
    await writeFile(file, 'old')
    function* failing() {
      yield bytes('new')
      throw new Error('out of parts')
    }
    await expect(writeAtomically(file, failing())).rejects.toMatchObject({
      code: 'FILE_WRITE',
      message: `Could not write ${file}: out of parts; the old content is unchanged`,
    })
    expect(await readFile(file, 'utf8')).toBe('old')
    expect(await readdir(folder)).toEqual(['x'])
  })

  it('follows a link, which stays one', async () => {
    await writeFile(path.join(folder, 'goal'), 'old')
    await symlink('goal', path.join(folder, 'link'))
    await writeAtomically(path.join(folder, 'link'), [bytes('new')])
    expect(await readlink(path.join(folder, 'link'))).toBe('goal')
    expect(await readFile(path.join(folder, 'goal'), 'utf8')).toBe('new')
  })

  it('says why it could not write', async () => {
    await mkdir(path.join(folder, 'sub'))
    await writeFile(path.join(folder, 'file'), '')
    const cases = {
      'missing/x': /its folder does not exist/,
      'file/x': /its folder is a file/,
      sub: /it is a folder/,
    }
    for (const [name, message] of Object.entries(cases)) {
      await expect(writeAtomically(path.join(folder, name), [bytes('x')])).rejects.toThrow(message)
    }
    expect((await readdir(folder)).sort()).toEqual(['file', 'sub'])
  })

  it('two writers at once leave the whole of one of them', async () => {
    const file = path.join(folder, 'x')
    const texts = ['a', 'b', 'c', 'd'].map((letter) => letter.repeat(1_000_000))
    await Promise.all(texts.map((text) => writeAtomically(file, [bytes(text)])))
    expect(texts).toContain(await readFile(file, 'utf8'))
    expect(await readdir(folder)).toEqual(['x'])
  })
})
