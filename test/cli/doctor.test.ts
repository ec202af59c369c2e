import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Examination } from '../../lib/cli/examination.js'
import { native } from '../../lib/native.js'
import { vggnet } from '../setup/command.js'

async function examined(
  environment: NodeJS.ProcessEnv = {},
): Promise<{ code: number | undefined; found: Examination }> {
  const { code, stdout, stderr } = await vggnet(['doctor', '--json'], environment)
  expect(stderr).toBe('')
  return { code, found: JSON.parse(stdout) }
}

describe('vggnet doctor', () => {
  test('tells of the machine, the addon and the cpu, which multiplies', async () => {
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

  test('tells why there is no cuda, which is no failure where none was built', async () => {
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

  test('tells that the addon does not load, and fails', async () => {
    const { code, found } = await examined({ VGGNET_BINARY: '/nowhere/vggnet.node' })
    expect(code).toBe(1)
    expect(found).toMatchObject({ works: false, devices: [] })
    expect(found.addon.obstacle).toContain('/nowhere/vggnet.node')
    const { code: again, stdout } = await vggnet(['doctor'], { VGGNET_BINARY: '/nowhere/vggnet.node' })
    expect(again).toBe(1)
    expect(stdout).toContain('Could not load the native binary of vggnet 0.')
  })

  test('as text fits 80 columns but for paths, and has no colours in a pipe', async () => {
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
})
