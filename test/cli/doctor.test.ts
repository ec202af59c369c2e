import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { diagnosesOf } from '../../lib/cli/doctor/diagnoses.js'
import type { Examination } from '../../lib/cli/doctor/examination.js'
import { instructionSets, limitsHere } from '../../lib/cli/doctor/limits.js'
import { native } from '../../lib/platform/native.js'
import { commandLine, root, vggnet } from '../setup/command.js'
import { newFolder } from '../setup/folder.js'

async function examined(
  environment: NodeJS.ProcessEnv = {},
): Promise<{ code: number | undefined; found: Examination }> {
  const { code, stdout, stderr } = await vggnet(['doctor', '--json'], environment)
  expect(stderr).toBe('')
  return { code, found: JSON.parse(stdout) }
}

describe('vggnet doctor', () => {
  test('reports the machine, the addon and the cpu, which works', async () => {
    const { code, found } = await examined()
    const { buildId, isa, threads, oneDnn } = native().buildInfo()
    expect(found).toMatchObject({
      system: { arch: 'x64', glibc: expect.stringMatching(/^2\.\d+$/), node: process.versions.node },
      addon: { path: expect.stringMatching(/vggnet\.node$/), buildId, oneDnn, isa, threads, obstacle: '' },
    })
    expect(found.vggnet).toMatch(/^\d+\.\d+\.\d+$/)
    expect(found.memory.bytes).toBeGreaterThan(found.memory.freeBytes)
    expect(found.devices[0]).toMatchObject({ device: 'cpu', works: true, precision: 'float32', obstacle: '' })
    expect(code).toBe(found.works ? 0 : 1)
  })

  test('reports why there is no cuda, which is not a failure without the CUDA library', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'vggnet-doctor-'))
    try {
      const file = path.join(folder, 'libvggnet_cuda.so')
      const { code, found } = await examined({ VGGNET_CUDA_BINARY: file, VGGNET_CUDA_LIBRARIES: folder })
      expect(code).toBe(0)
      expect(found.works).toBe(true)
      expect(found.cuda?.library.obstacle).toBe(`there is no file ${file}, which VGGNET_CUDA_BINARY names`)
      expect(found.cuda?.searched[0]).toBe(folder)
      expect(found.cuda?.files.map(({ name }) => name)).toEqual(
        expect.arrayContaining(['libcublasLt.so.13', 'libcudnn.so.9', 'libcudnn_ops.so.9']),
      )
      expect(found.devices[1]).toMatchObject({ device: 'cuda', works: false })
      expect(found.devices[1]?.obstacle).toMatch(/^device 'cuda' is not available: ./)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  test('reports that the addon does not load, and fails', async () => {
    const { code, found } = await examined({ VGGNET_BINARY: '/nowhere/vggnet.node' })
    expect(code).toBe(1)
    expect(found).toMatchObject({ works: false, devices: [] })
    expect(found.addon.obstacle).toContain('/nowhere/vggnet.node')
    const { code: again, stdout } = await vggnet(['doctor'], { VGGNET_BINARY: '/nowhere/vggnet.node' })
    expect(again).toBe(1)
    expect(stdout).toContain('Could not load the native binary of vggnet 0.')
  })

  test('as text fits 80 columns except for paths, and has no colours in a pipe', async () => {
    const { code, stdout } = await vggnet(['doctor'])
    expect(code).toBe(0)
    for (const title of [
      'vggnet',
      'system',
      'processor',
      'memory',
      'addon',
      'tuning',
      'CUDA',
      'driver',
      'libraries',
      'devices',
    ]) {
      expect(stdout).toMatch(new RegExp(`^${title} +\\S`, 'm'))
    }
    expect(stdout).toMatch(/ cpu works in float32: /)
    const long = stdout.split('\n').filter((line) => line.length > 80 && line.trim().includes(' '))
    expect(long).toEqual([])
    expect(stdout).not.toContain('\u001b')
  })

  test('reports limits and paths', async () => {
    const { found } = await examined({ VGGNET_CACHE: '/nowhere/cache' })
    const { processor, memory, paths, addon } = found
    expect(processor.processors).toBeLessThanOrEqual(processor.online)
    expect(processor.affinity).toMatch(/^[\d,-]+$/)
    expect(memory).toHaveProperty('limitBytes')
    expect(paths).toMatchObject({ checkout: true, node: process.execPath, cache: '/nowhere/cache' })
    expect(addon.libraries.map(({ name }) => name).sort()).toEqual([
      'libdnnl.so.3',
      'libgomp.so.1',
      'libturbojpeg.so.0',
    ])
    expect(addon.libraries.every(({ path: file, fault }) => existsSync(file) && fault === '')).toBe(true)
  })

  test('reports a cache that others can write to, and does what cures it', async () => {
    const cache = newFolder()
    chmodSync(cache, 0o777)
    const hintsOf = async () =>
      (await examined({ VGGNET_CACHE: cache })).found.diagnoses.filter(({ text }) =>
        text.includes('nothing of the cache'),
      )
    const [hint] = await hintsOf()
    expect(hint).toEqual({
      kind: 'hint',
      text: `nothing of the cache is used, NVIDIA's libraries and tunings included: other users can write to ${cache} (mode 777)`,
      cure: `\`chmod -R go-w '${cache}'\``,
    })
    expect((await vggnet(['doctor'], { VGGNET_CACHE: cache })).stdout).toMatch(/^cache .*\n +not private$/m)
    expect(spawnSync('sh', ['-c', hint?.cure.replaceAll('`', '') ?? '']).status).toBe(0)
    expect(await hintsOf()).toEqual([])
  })

  test('reports the processors of its affinity', async (context) => {
    const words = ['-c', '0', process.execPath, commandLine, 'doctor', '--json']
    const { status, stdout } = spawnSync('taskset', words, { cwd: root })
    if (status !== 0) return context.skip('no taskset, or no processor 0')
    expect(JSON.parse(stdout.toString()).processor).toMatchObject({ processors: 1, affinity: '0' })
  })

  test('ends with diagnoses: what works, what fails, and the fix', async () => {
    const good = (await vggnet(['doctor'])).stdout.split('\n\n')
    expect(good).toHaveLength(2)
    expect(good[1]).toMatch(/^works {6}device 'cpu': a small multiplication gives the right result$/m)
    const bad = (await vggnet(['doctor'], { VGGNET_BINARY: '/nowhere/vggnet.node' })).stdout.split('\n\n')
    expect(bad[1]).toMatch(/^fails {6}vggnet does not load, so nothing can be computed\n +-> unset VGGNET_BINARY/)
  })
})

describe('diagnoses', () => {
  const device = {
    name: 'x',
    architecture: 'y',
    bytes: 1,
    freeBytes: 1,
    precision: 'float32',
    works: true,
    obstacle: '',
  }
  const found: Omit<Examination, 'diagnoses'> = {
    works: true,
    vggnet: '1.0.0',
    system: { name: '', kernel: '', arch: 'x64', glibc: '2.36', node: '22.0.0' },
    paths: { root: '/a', checkout: false, node: '/usr/bin/node', cache: '/c', cacheWritable: true, cacheExposure: '' },
    processor: { name: 'x', processors: 8, online: 8, affinity: '0-7', quota: null, instructionSets: ['AVX2'] },
    memory: { bytes: 1, freeBytes: 1, limitBytes: null },
    addon: {
      path: '/a/x.node',
      buildId: 'b',
      compiler: 'g++',
      debug: false,
      oneDnn: '',
      libjpegTurbo: '',
      libraries: [],
      isa: 'avx2',
      threads: 8,
      obstacle: '',
    },
    devices: [{ ...device, device: 'cpu' }],
  }
  const texts = (change: Partial<Examination>) =>
    diagnosesOf({ ...found, ...change }).map(({ kind, text, cure }) => `${kind}: ${text} -> ${cure}`)

  test('there is one on a machine without problems', () => {
    expect(texts({})).toEqual(["works: device 'cpu': a small multiplication gives the right result -> "])
  })

  test.each<[string, Partial<Examination>, RegExp]>([
    [
      'a wrong result',
      { devices: [{ ...device, device: 'cpu', works: false, obstacle: 'a multiplication gives 2 instead of 3' }] },
      /^fails: device 'cpu' does not compute: a multiplication gives 2 instead of 3 -> `npx vggnet doctor --json`/,
    ],
    [
      'a tight control group',
      { processor: { ...found.processor, quota: 1.5 } },
      /^hint: the control group allows 1.5 processors, but 8 threads .* -> `threads: 1`/,
    ],
    [
      'an old processor',
      { processor: { ...found.processor, instructionSets: [] } },
      /^hint: the processor has no AVX2/,
    ],
    [
      'a cache that is not writable',
      { paths: { ...found.paths, cacheWritable: false } },
      /^hint: the cache \/c is not writable: .* -> set VGGNET_CACHE=FOLDER/,
    ],
    [
      'a cache of another user',
      { paths: { ...found.paths, cacheExposure: "/c belongs to user 5, not to user 0: `sudo -H` takes root's own" } },
      /^hint: .*: \/c belongs to user 5, not to user 0 -> `sudo -H` takes root's own$/,
    ],
    [
      'a changed file',
      { addon: { ...found.addon, libraries: [{ name: 'libgomp.so.1', path: '', fault: 'is missing from /a' }] } },
      /^hint: libgomp\.so\.1 is missing from \/a -> reinstall the package/,
    ],
  ])('%s', (_, change, expected) => {
    expect(texts(change)).toContainEqual(expect.stringMatching(expected))
  })
})

describe('limits', () => {
  const limits = (files: Record<string, string>) => limitsHere((file) => files[file])

  test('of a control group of version 2 and its parents', () => {
    const files = {
      '/proc/self/cgroup': '0::/a/b\n',
      '/proc/self/status': 'Name:\tnode\nCpus_allowed_list:\t0-3,6\n',
      '/sys/fs/cgroup/a/cpu.max': '150000 100000\n',
      '/sys/fs/cgroup/a/b/cpu.max': 'max 100000\n',
      '/sys/fs/cgroup/a/memory.max': 'max\n',
      '/sys/fs/cgroup/a/b/memory.max': '2147483648\n',
    }
    expect(limits(files)).toEqual({ processors: 1.5, bytes: 2 ** 31, affinity: '0-3,6' })
  })

  test('of control groups of version 1', () => {
    const files = {
      '/proc/self/cgroup': '4:memory:/m\n3:cpu:/c\n',
      '/sys/fs/cgroup/cpu/c/cpu.cfs_quota_us': '50000\n',
      '/sys/fs/cgroup/cpu/c/cpu.cfs_period_us': '100000\n',
      '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
      '/sys/fs/cgroup/memory/m/memory.limit_in_bytes': '1073741824\n',
    }
    expect(limits(files)).toEqual({ processors: 0.5, bytes: 2 ** 30, affinity: null })
  })

  test('none', () => {
    expect(limits({})).toEqual({ processors: null, bytes: null, affinity: null })
    const files = { '/proc/self/cgroup': '4:memory:/\n3:cpu:/\n', '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n' }
    expect(limits(files)).toEqual({ processors: null, bytes: null, affinity: null })
  })

  test('instruction sets are those of the processor', () => {
    expect(instructionSets(() => 'processor : 0\nflags\t\t: fpu avx2 avx512f\n')).toEqual(['AVX2', 'AVX-512'])
    expect(instructionSets(() => undefined)).toEqual([])
  })
})
