import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { root } from '../setup/command.js'
import { writeDigitPhotos } from '../setup/digit-photos.js'
import { newFolder } from '../setup/folder.js'
import { launch, mpis } from './launch.js'

const limit = 300_000
const commandLine = [process.execPath, path.join(root, 'dist/cli/main.js')]
const net = ['--variant', 'A', '--image-size', '32', '--width', '0.125', '--head-width', '32', '--initialisation', 'he']
const events = (out: string) => out.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line)] : []))

test(
  'vggnet train: rank 0 prints and writes for all; both MPIs give the same bytes, and one process a close loss',
  async () => {
    const photos = newFolder()
    await writeDigitPhotos(photos, 3, 20)
    const words = ['train', photos, ...net, '--epochs', '3', '--batch', '24', '--no-check', '--json']
    const models: Buffer[] = []
    const losses: number[] = []
    for (const mpi of [...mpis, null]) {
      const out = path.join(newFolder(), 'run')
      const { code, out: printed, error } = await launch(mpi, 2, [...commandLine, ...words, '--out', out])
      expect({ mpi, code, error }).toMatchObject({ mpi, code: 0 })
      const ends = events(printed).filter(({ event }) => event === 'end')
      expect(ends.length).toBe(1)
      losses.push(ends[0].history.at(-1).loss)
      models.push(readFileSync(path.join(out, 'model.safetensors')))
      expect(existsSync(path.join(out, 'log.jsonl'))).toBe(true)
    }
    expect(models[1]).toEqual(models[0])
    expect(Math.abs((losses[0] ?? 0) / (losses[2] ?? 1) - 1)).toBeLessThan(1e-5)
  },
  limit,
)

test(
  'an error of rank 0 is printed once, and all ranks end with its exit code',
  async () => {
    for (const mpi of mpis) {
      const { code, error } = await launch(mpi, 2, [
        ...commandLine,
        'train',
        path.join(newFolder(), 'none'),
        '--out',
        path.join(newFolder(), 'run'),
      ])
      expect(code).not.toBe(0)
      expect(error.match(/vggnet: FILE_NOT_FOUND/g)).toHaveLength(1)
    }
  },
  limit,
)

test(
  'vggnet doctor --distributed names ranks, library and bandwidth',
  async () => {
    const { code, out } = await launch('mpich', 2, [...commandLine, 'doctor', '--distributed', '--json'])
    expect(code).toBe(0)
    const { ranks, sums, version, diagnoses } = JSON.parse(out)
    expect(ranks.map(({ rank }: { rank: number }) => rank)).toEqual([0, 1])
    expect(sums.map(({ bytes }: { bytes: number }) => bytes)).toEqual([2 ** 16, 2 ** 20, 2 ** 25])
    expect(sums.every(({ bytesPerSecond }: { bytesPerSecond: number }) => bytesPerSecond > 0)).toBe(true)
    expect(version).toMatch(/^MPICH 5/)
    expect(diagnoses.at(-1)).toMatchObject({ kind: 'works' })
  },
  limit,
)
