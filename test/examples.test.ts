import { describe, expect, test } from 'vitest'
import { start } from './setup/command.js'

describe('examples', () => {
  test('fit.ts learns the stripes', async () => {
    const { code, stdout, stderr } = await start('examples/fit.ts', []).ended
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout.match(/^epoch \d\/6 /gm)).toHaveLength(6)
    expect(Number(/validation accuracy (\S+) %/.exec(stdout)?.[1])).toBeGreaterThan(90)
  })

  test('train.ts learns bright and dark', async () => {
    const { code, stdout, stderr } = await start('examples/train.ts', []).ended
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout.match(/^step \d+ /gm)).toHaveLength(6)
    expect(Number(/^(\d+) of 100 new pictures right$/m.exec(stdout)?.[1])).toBeGreaterThan(90)
  })
})

test('the demo says how it is used', async () => {
  const { code, stdout } = await start('examples/demo/main.ts', ['--help']).ended
  expect(code).toBe(0)
  expect(stdout).toContain('--epochs')
})
