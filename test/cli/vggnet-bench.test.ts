import { expect, test } from 'vitest'
import { native } from '../../lib/platform/native.js'
import { packageVersion } from '../../lib/platform/package.js'
import { interrupted, vggnet } from '../setup/command.js'

const tiny = ['--variant', 'A', '--image-size', '32', '--width', '0.125', '--head-width', '16', '--batch', '2']
const bench = (...words: string[]) => vggnet(['bench', ...tiny, '--device', 'cpu', '--threads', '1', ...words])

test('vggnet bench measures inference and training, and ends with a one-line summary', async () => {
  const { code, stdout, stderr } = await bench('--seconds', '0.1')
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const lines = stdout.trimEnd().split('\n')
  expect(lines.slice(1, 3)).toEqual([
    expect.stringMatching(/^inference +[\d.]+ images\/s, [\d.]+ ms per batch \(minimum [\d.]+\), ready in [\d.]+ s$/),
    expect.stringMatching(/^training +[\d.]+ images\/s, /),
  ])
  expect(lines.at(-2)).toBe('')
  const { isa } = native().buildInfo()
  const [version, node] = [packageVersion(), process.versions.node].map((text) => text.replaceAll('.', '\\.'))
  const what = `^vggnet ${version}, Node ${node}, A 32x32: cpu .*\\(${isa}, 1 thread, float32, batch 2\\): `
  expect(lines.at(-1)).toMatch(
    new RegExp(`${what}training [\\d.]+, inference [\\d.]+ images/s(, background load \\d+ %)?$`),
  )
  expect(stdout).not.toContain('\u001b')
})

test('--json has the same results and the summary', async () => {
  const { code, stdout } = await bench('--seconds', '0.1', '--json')
  expect(code).toBe(0)
  const found = JSON.parse(stdout)
  expect(found).toMatchObject({ vggnet: packageVersion(), node: process.versions.node })
  const [{ training, inference, ...rest }] = found.devices
  expect(rest).toMatchObject({ device: 'cpu', precision: 'float32', threads: 1, variant: 'A', imageSize: 32, batch: 2 })
  expect(rest.backgroundLoad).toBeGreaterThanOrEqual(0)
  for (const { imagesPerSecond, medianMs, roundsMs } of [training, inference]) {
    expect(imagesPerSecond).toBeCloseTo(2000 / medianMs)
    expect(roundsMs.length).toBeGreaterThanOrEqual(3)
    expect(found.line).toContain(imagesPerSecond.toFixed(imagesPerSecond < 100 ? 2 : imagesPerSecond < 1000 ? 1 : 0))
  }
})

test('without --device each device is measured', async () => {
  const { code, stdout } = await vggnet(['bench', ...tiny, '--seconds', '0.1', '--json'])
  expect(code).toBe(0)
  const devices = JSON.parse(stdout).devices.map(({ device }: { device: string }) => device)
  const { cards } = native().cudaReport()
  expect(devices).toEqual(cards.length === 0 ? ['cpu'] : ['cpu', 'cuda:0'])
})

test.each([
  [['--seconds', '0'], /seconds above 0/],
  [['--batch', '0.5'], /an integer from 1 to \d+ for batch/],
  [['--variant', 'Q'], /for variant but received 'Q'/],
  [['--precision', 'half'], /one of bf16, tf32, float32/],
  [['--device', 'tpu'], /for device but received 'tpu'/],
  [['--imagesize', '32'], /Did you mean --image-size/],
])('%j is wrong use', async (words, message) => {
  const { code, stdout, stderr } = await bench(...words)
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr).toMatch(message)
})

test('Ctrl-C ends it after the current round', async () => {
  const { code, stdout, stderr } = await interrupted(['bench', ...tiny, '--device', 'cpu', '--seconds', '10'])
  const said =
    'Stopping after the current round; press Ctrl-C again to stop at once ...\nInterrupted; no measurement was finished\n'
  expect({ code, stdout, stderr }).toEqual({ code: 130, stdout: '', stderr: said })
})
