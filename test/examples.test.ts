import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import sharp from 'sharp'
import { save } from 'vggnet'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { digitModel, digits } from '../examples/digit-model.js'
import { start } from './setup/command.js'

// What the examples learn by default takes some seconds each: here they share one model.
let folder = ''
let model = ''
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'vggnet-examples-'))
  model = path.join(folder, 'digits.safetensors')
  const net = await digitModel('')
  await save(net, model)
  net.dispose()
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function run(script: string, ...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await start(`examples/${script}`, words).ended
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return stdout
}

describe('examples', () => {
  test('fit.ts learns the stripes', async () => {
    const stdout = await run('fit.ts')
    expect(stdout.match(/^epoch \d\/6 /gm)).toHaveLength(6)
    expect(Number(/validation accuracy (\S+) %/.exec(stdout)?.[1])).toBeGreaterThan(90)
  })

  test('train.ts learns bright and dark', async () => {
    const stdout = await run('train.ts')
    expect(stdout.match(/^step \d+ /gm)).toHaveLength(6)
    expect(Number(/^(\d+) of 100 new images right$/m.exec(stdout)?.[1])).toBeGreaterThan(90)
  })

  test('images.ts learns from JPEG files, and goes on where it was', async () => {
    const out = path.join(folder, 'photographs')
    const stdout = await run('images.ts', '--out', out, '--epochs', '2')
    expect(stdout.match(/^epoch \d\/2 /gm)).toHaveLength(2)
    expect(existsSync(path.join(out, 'model.safetensors'))).toBe(true)
    const again = await run('images.ts', '--out', out, '--epochs', '3')
    expect(again).toContain('going on from step 36')
    expect(again.match(/^epoch \d\/3 /gm)).toEqual(['epoch 3/3 '])
  })

  test('fine-tune.ts learns new classes with frozen blocks', async () => {
    const stdout = await run('fine-tune.ts', '--model', model)
    expect(Number(/^fine-tuned on 100 images: (\S+) %/m.exec(stdout)?.[1])).toBeGreaterThan(45)
    expect(stdout).toContain('4 layers frozen; their bytes are as they were')
    expect(stdout).toMatch(/^from random weights: \S+ %$/m)
  })

  test('nearest.ts finds images of classes that the model never saw', async () => {
    const stdout = await run('nearest.ts', '--model', model)
    expect(stdout.match(/^a \d is nearest to /gm)).toHaveLength(5)
    expect(Number(/^(\S+) % of 200 have one/m.exec(stdout)?.[1])).toBeGreaterThan(50)
  })

  test('saliency.ts draws where the net looked', async () => {
    const out = path.join(folder, 'saliency.png')
    const stdout = await run('saliency.ts', '--model', model, '--digit', '0', '--out', out)
    expect(stdout).toContain('a 0 is taken for a 0')
    const { data, info } = await sharp(out).extractChannel(0).raw().toBuffer({ resolveWithObject: true })
    expect([info.width, info.height]).toEqual([512, 256])
    expect(Math.max(...data.subarray(0, 512 * 256).filter((_, position) => position % 512 >= 256))).toBeGreaterThan(200)
  })

  test('evaluation.ts asks for one crop and densely', async () => {
    const out = path.join(folder, 'photographs')
    const stdout = await run('evaluation.ts', '--model', path.join(out, 'model.safetensors'))
    expect(stdout).toMatch(/^90 images, the middle crop of each: \S+ % right$/m)
    expect(stdout).toMatch(/^dense, with mirror images, Q of 82: \S+ % right$/m)
    expect(stdout).toMatch(/^dense, with mirror images, Q of 55, 82, 110: \S+ % right$/m)
  })

  test('server.ts answers many at once, refuses what is no image, and ends at SIGTERM', async () => {
    const { child, ended } = start('examples/server.ts', ['--port', '0', '--model', model])
    const address = await new Promise<string>((resolve, reject) => {
      child.stdout.on('data', (text: string) => {
        const [found] = /http:\S+/.exec(text) ?? []
        if (found !== undefined) resolve(found)
      })
      child.on('close', () => reject(new Error('the server ended')))
    })
    const post = (body: string | Uint8Array<ArrayBuffer>) => fetch(`${address}/classify`, { method: 'POST', body })
    const { test: asked } = await digits([0, 1, 2, 3, 4], 1500)
    const pixels = new Uint8Array(32 * 32 * 20)
    await asked.read(
      Int32Array.from({ length: 20 }, (_, position) => position * 25),
      pixels,
    )
    const answers = await Promise.all(
      Array.from({ length: 20 }, async (_, position) => {
        const raw = { width: 32, height: 32, channels: 1 } as const
        const png = await sharp(pixels.subarray(position * 1024, (position + 1) * 1024), { raw })
          .png()
          .toBuffer()
        return (await (await post(new Uint8Array(png))).json()) as { class: string; probability: number }[]
      }),
    )
    const right = answers.filter(([best], position) => best?.class === String(asked.labels[position * 25]))
    expect(right.length).toBeGreaterThan(15)
    const refused = await post('no image')
    expect(refused.status).toBe(400)
    expect(((await refused.json()) as { error: string }).error).toContain('Expected an image')
    expect((await fetch(`${address}/health`)).status).toBe(200)
    expect((await fetch(`${address}/elsewhere`)).status).toBe(404)
    child.kill('SIGTERM')
    expect(await ended).toMatchObject({ code: 0, stderr: '' })
  })
})

test('wrong use of an example is said in a sentence', async () => {
  const unknown = await start('examples/nearest.ts', ['--quieres', '3']).ended
  expect(unknown.code).toBe(2)
  expect(unknown.stderr).toContain("Unknown option '--quieres'")
  const many = await start('examples/nearest.ts', ['--queries', '3000']).ended
  expect(many.code).toBe(1)
  expect(many.stderr).toBe(
    "Expected a whole number from 1 to 400 for --queries but received '3000' [INVALID_ARGUMENT]\n",
  )
  const missing = await start('examples/saliency.ts', ['--model', 'nowhere.safetensors']).ended
  expect(missing.code).toBe(1)
  expect(missing.stderr).toContain('[FILE_NOT_FOUND]')
})

test('the demo says how it is used', async () => {
  const { code, stdout } = await start('examples/demo/main.ts', ['--help']).ended
  expect(code).toBe(0)
  expect(stdout).toContain('--epochs')
})
