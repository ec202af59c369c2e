import { describe, expect, it } from 'vitest'
import { availableMainMemory } from '../../lib/main-memory.js'
import { largestWithin, partOf } from '../../lib/network/fitting-batch.js'

describe('the largest count within a room', () => {
  /** Bytes with steps, as workspaces and alignment make them; and how often they were asked for. */
  function counted(each: number, fixed: number) {
    let asked = 0
    const bytes = (count: number): number => {
      asked += 1
      return fixed + each * count + 1000 * Math.floor(count / 7)
    }
    return { bytes, asked: () => asked }
  }

  it.each([1, 2, 3, 6, 7, 8, 99, 100, 101, 255, 1000])('is found exactly: %i', (right) => {
    const { bytes } = counted(100, 5000)
    for (const room of [bytes(right), bytes(right + 1) - 1]) expect(largestWithin(room, 65536, bytes)).toBe(right)
  })

  it('is 0 where one is too many, and the most asked for where all fit', () => {
    const { bytes } = counted(100, 5000)
    expect(largestWithin(bytes(1) - 1, 256, bytes)).toBe(0)
    expect(largestWithin(bytes(256), 256, bytes)).toBe(256)
    expect(largestWithin(Number.POSITIVE_INFINITY, 1, bytes)).toBe(1)
  })

  it('is found with few questions, also where memory is far from linear', () => {
    const linear = counted(150e6, 2e9)
    expect(largestWithin(22e9, 65536, linear.bytes)).toBe(133)
    expect(linear.asked()).toBeLessThan(12)
    for (const right of [5, 300, 40000]) {
      let asked = 0
      const square = (count: number): number => {
        asked += 1
        return count * count
      }
      expect(largestWithin(right * right, 65536, square)).toBe(right)
      expect(asked).toBeLessThan(50)
    }
  })
})

describe('parts of a batch', () => {
  it.each([
    { batch: 256, fitting: 300, part: 256 },
    { batch: 256, fitting: 256, part: 256 },
    { batch: 256, fitting: 255, part: 128 },
    { batch: 256, fitting: 100, part: 64 },
    { batch: 96, fitting: 40, part: 32 },
    { batch: 256, fitting: 1, part: 1 },
    { batch: 251, fitting: 100, part: 84 },
    { batch: 7, fitting: 6, part: 4 },
    { batch: 1, fitting: 1, part: 1 },
  ])('of $batch images where $fitting fit are $part', ({ batch, fitting, part }) => {
    expect(partOf(batch, fitting)).toBe(part)
  })

  it('always fit, and are never more than twice as many as needed', () => {
    for (let batch = 1; batch <= 130; batch++) {
      for (let fitting = 1; fitting <= 130; fitting++) {
        const part = partOf(batch, fitting)
        expect(part).toBeLessThanOrEqual(fitting)
        expect(Math.ceil(batch / part)).toBeLessThanOrEqual(2 * Math.ceil(batch / fitting))
      }
    }
  })
})

describe('main memory that is available', () => {
  const meminfo = 'MemTotal:  8000000 kB\nMemFree:  100 kB\nMemAvailable:  4000000 kB\n'
  const from = (files: Record<string, string>): number => availableMainMemory((path) => files[path])
  const plain = { '/proc/meminfo': meminfo }

  it('is what the system tells where no group has a limit', () => {
    expect(from(plain)).toBe(4000000 * 1024)
    const unlimited = {
      '/proc/self/cgroup': '0::/a\n',
      '/sys/fs/cgroup/a/memory.max': 'max\n',
      '/sys/fs/cgroup/a/memory.current': '5\n',
    }
    expect(from({ ...plain, ...unlimited })).toBe(4000000 * 1024)
  })

  it.each([
    {
      version: 2,
      line: '0::/a/b',
      folder: '/sys/fs/cgroup/a',
      names: ['memory.max', 'memory.current', 'inactive_file'],
    },
    {
      version: 1,
      line: '9:memory:/a/b',
      folder: '/sys/fs/cgroup/memory/a',
      names: ['memory.limit_in_bytes', 'memory.usage_in_bytes', 'total_inactive_file'],
    },
  ])('is what the tightest group of version $version leaves, its cache counted as free', ({ line, folder, names }) => {
    const [limit, usage, reclaimable] = names
    const group = {
      '/proc/self/cgroup': `8:pids:/x\n${line}\n`,
      [`${folder}/${limit}`]: '1000000\n',
      [`${folder}/${usage}`]: '900000\n',
      [`${folder}/memory.stat`]: `anon 3\n${reclaimable} 50000\n`,
      [`${folder}/b/${limit}`]: '5000000\n',
      [`${folder}/b/${usage}`]: '900000\n',
    }
    expect(from({ ...plain, ...group })).toBe(150000)
    expect(from({ ...plain, ...group, [`${folder}/${usage}`]: '1200000' })).toBe(0)
  })

  it('is found on this machine', () => {
    expect(availableMainMemory()).toBeGreaterThan(2 ** 24)
    expect(Number.isFinite(availableMainMemory())).toBe(true)
  })
})
