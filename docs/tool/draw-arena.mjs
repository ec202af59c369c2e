// node docs/tool/draw-arena.mjs: docs/arena.svg, which bytes of the arena hold what while VGG-16 does one training step, as
// `describe` plans it on the processor that runs this. From left to right the stages: forward, then backward.
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, layersOf } from '../../dist/index.js'

const [left, top, width, height] = [64, 28, 820, 420]
const colours = { activation: '#4c8dbb', gradient: '#d9822b', saved: '#7a9e3b', workspace: '#b9b4a8', other: '#8e7cc3' }

function kindOf(name) {
  if (name === 'workspace') return 'workspace'
  if (name.startsWith('gradient of')) return 'gradient'
  if (name.endsWith(' index')) return 'saved'
  return /^(images|flip|shift|labels|loss normaliser)$/.test(name) ? 'other' : 'activation'
}

function image({ tensors, stages, arenaBytes }) {
  const last = Math.max(...tensors.map(({ lastUse }) => lastUse))
  const x = (use) => left + (width * Math.max(use, 0)) / (last + 1)
  const y = (byte) => top + height - (height * byte) / arenaBytes
  const boxes = tensors
    .filter(({ bytes }) => bytes / arenaBytes > 0.002)
    .map(({ name, bytes, offset, firstUse, lastUse }) => {
      const [x0, x1, y0, y1] = [x(firstUse), x(lastUse + 1), y(offset + bytes), y(offset)]
      const box = `<rect x="${x0.toFixed(1)}" y="${y0.toFixed(1)}" width="${(x1 - x0).toFixed(1)}" height="${(y1 - y0).toFixed(1)}" fill="${colours[kindOf(name)]}" stroke="#fff" stroke-width="0.7"><title>${name}</title></rect>`
      const isWide = x1 - x0 > 6.2 * name.length && y1 - y0 > 11
      const text = `<text x="${((x0 + x1) / 2).toFixed(1)}" y="${((y0 + y1) / 2 + 4).toFixed(1)}" text-anchor="middle" fill="#fff">${name}</text>`
      return isWide ? box + text : box
    })
  const half = x(stages.length - 1) // the last stage is the loss
  const megabytes = Array.from({ length: Math.floor(arenaBytes / 2e8) + 1 }, (_, step) => step * 200)
  const scale = megabytes.map(
    (mb) => `<text x="${left - 6}" y="${(y(mb * 1e6) + 4).toFixed(1)}" text-anchor="end">${mb}</text>`,
  )
  const legend = [
    ['activation', 'activations'],
    ['gradient', 'their gradients'],
    ['saved', 'pool indices'],
    ['workspace', 'workspace'],
    ['other', 'the batch'],
  ].map(([kind, text], position) => {
    const at = left + position * 140
    return `<rect x="${at}" y="${top + height + 12}" width="12" height="12" fill="${colours[kind]}"/><text x="${at + 17}" y="${top + height + 22}">${text}</text>`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${left + width + 16} ${top + height + 34}" font-family="sans-serif" font-size="11" fill="#333"><title>The arena of VGG-16, training on 32 images</title>
<rect width="100%" height="100%" fill="#fff"/>
<rect x="${left}" y="${top}" width="${width}" height="${height}" fill="#f4f2ee"/>
${boxes.join('\n')}
<path d="M${half.toFixed(1)} ${top - 4} V${top + height}" stroke="#333" stroke-dasharray="3 3"/>
<text x="${(half - 8).toFixed(1)}" y="${top - 10}" text-anchor="end">forward</text><text x="${(half + 8).toFixed(1)}" y="${top - 10}">loss, backward</text>
<text x="${left - 6}" y="${top - 10}" text-anchor="end">MB</text>${scale.join('')}
${legend.join('\n')}
</svg>
`
}

const layers = layersOf({ variant: 'D', classes: 1000 })
const plan = describe({ layers, shape: [32, 3, 224, 224], training: true })
writeFileSync(fileURLToPath(new URL('../arena.svg', import.meta.url)), image(plan))
