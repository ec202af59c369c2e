import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { imageNetClasses } from '../../lib/weights/imagenet.js'

const golden: { torchvision: string; timm: Record<string, string> } = JSON.parse(
  readFileSync(new URL('../golden/foreign/imagenet.json', import.meta.url), 'utf8'),
)

test("the classes of ImageNet are torchvision's, each with a name of its own", () => {
  expect(imageNetClasses).toHaveLength(1000)
  expect(new Set(imageNetClasses).size).toBe(1000)
  expect(createHash('sha256').update(imageNetClasses.join('\n')).digest('hex')).toBe(golden.torchvision)
})

test("they are in timm's order", () => {
  // torchvision tells the bird from the machine, and one swimsuit from the other
  const own: Record<number, string> = { 134: 'crane bird', 639: 'maillot tank suit' }
  for (const [index, lemmas] of Object.entries(golden.timm))
    expect([...lemmas.split(', '), own[Number(index)]]).toContain(imageNetClasses[Number(index)])
})
