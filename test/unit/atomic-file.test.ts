import { spawnSync } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { constants, tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { linkAtomically, writeAtomically } from '../../lib/files/atomic-file.js'
import { root } from '../setup/command.js'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'vggnet-atomic-'))
})
afterEach(() => rm(folder, { recursive: true }))

const modeOf = async (file: string) => (await stat(file)).mode & 0o777

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
    await rm(file)
    await expect(writeAtomically(file, failing())).rejects.toThrow(/: out of parts$/)
    expect(await readdir(folder)).toEqual([])
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

  it('keeps the permissions of the file that it replaces; a new one has those of new files', async () => {
    const file = path.join(folder, 'x')
    await writeFile(path.join(folder, 'usual'), '')
    await writeAtomically(file, [bytes('new')])
    expect(await modeOf(file)).toBe(await modeOf(path.join(folder, 'usual')))
    for (const mode of [0o600, 0o664, 0o444]) {
      await chmod(file, mode)
      await writeAtomically(file, [bytes(`${mode}`)])
      expect([await modeOf(file), await readFile(file, 'utf8')]).toEqual([mode, `${mode}`])
    }
  })

  it('does not say that the old content is unchanged where only the sync of the folder fails', async () => {
    const message = (name: string) =>
      `FILE_WRITE Could not sync ${folder}: the device reports an error; choose a folder on another device; ${path.join(folder, name)} has its new content, which a power failure may undo`
    expect(await writtenWith('EIO')).toEqual([message('x'), message('other')])
    expect(await readFile(path.join(folder, 'x'), 'utf8')).toBe('new')
  })

  it.each(['EINVAL', 'EACCES'])('writes on a file system that syncs no folders: %s', async (error) => {
    expect(await writtenWith(error)).toEqual([])
    expect(await readFile(path.join(folder, 'other'), 'utf8')).toBe('new')
  })

  it('a private file stays private where no permissions can be set', async () => {
    await writeFile(path.join(folder, 'x'), '', { mode: 0o600 })
    expect(await writtenWith('EINVAL')).toEqual([])
    expect((await modeOf(path.join(folder, 'x'))) & 0o077).toBe(0)
  })

  it('copies where the file system has no links', async () => {
    expect(await writtenWith('EINVAL', 'EPERM')).toEqual([])
    const [one, other] = await Promise.all(['x', 'other'].map((name) => stat(path.join(folder, name))))
    expect(other?.ino).not.toBe(one?.ino)
    expect(await readFile(path.join(folder, 'other'), 'utf8')).toBe('new')
    expect((await readdir(folder)).filter((name) => name.startsWith('.'))).toEqual([])
  })
})

/**
 * Replaces `x` by 'new' and links it as `other`, on a device on which a folder cannot be synced, permissions cannot be set, and
 * links cannot be made if `link` is an error. @returns the errors
 */
async function writtenWith(sync: string, link = ''): Promise<string[]> {
  const [file = '', source = '', library = ''] = ['x', 'x.cpp', 'x.so'].map((name) => path.join(folder, name))
  await writeFile(source, failing)
  expect(spawnSync('g++', ['-shared', '-fPIC', '-o', library, source]).status).toBe(0)
  await writeFile(file, 'old')
  const program = `
    import { linkAtomically, writeAtomically } from '${root}dist/files/atomic-file.js'
    const [file, other] = process.argv.slice(1)
    const print = ({ code, message }) => console.log(code, message)
    await writeAtomically(file, [Buffer.from('new')]).catch(print)
    await linkAtomically(file, other).catch(print)`
  const words = ['--input-type=module', '-e', program, file, path.join(folder, 'other')]
  const number = (name: string): string => String(name && constants.errno[name as keyof typeof constants.errno])
  const faults = { VGGNET_SYNC: number(sync), VGGNET_LINK: number(link) }
  const { stdout } = spawnSync(process.execPath, words, {
    env: { ...process.env, ...faults, LD_PRELOAD: library },
    encoding: 'utf8',
  })
  return stdout.trim().split('\n').filter(Boolean)
}

/** A device that fails when a folder is synced, by then with its files in it, and has no permissions. */
const failing = `
  #include <cerrno>
  #include <cstdlib>
  #include <sys/stat.h>
  #include <sys/syscall.h>
  #include <unistd.h>
  extern "C" int fsync(int descriptor) {
    struct stat found;
    if (fstat(descriptor, &found) == 0 && S_ISDIR(found.st_mode)) return errno = atoi(getenv("VGGNET_SYNC")), -1;
    return syscall(SYS_fsync, descriptor);
  }
  extern "C" int fchmod(int, mode_t) { return errno = EPERM, -1; }
  extern "C" int link(const char* from, const char* to) {
    const int error = atoi(getenv("VGGNET_LINK"));
    return error != 0 ? (errno = error, -1) : syscall(SYS_link, from, to);
  }`

describe('linkAtomically', () => {
  it('links a file, or copies it where the one that it replaces has other permissions, which stay', async () => {
    const [file, other] = [path.join(folder, 'file'), path.join(folder, 'other')]
    await writeFile(file, 'new')
    await linkAtomically(file, other)
    expect((await stat(other)).ino).toBe((await stat(file)).ino)
    await rm(other)
    await writeFile(other, 'old', { mode: 0o600 })
    await linkAtomically(file, other)
    expect([await modeOf(other), await readFile(other, 'utf8')]).toEqual([0o600, 'new'])
    expect((await stat(file)).mode & 0o777).not.toBe(0o600)
    expect((await readdir(folder)).sort()).toEqual(['file', 'other'])
  })
})
