import { parseArgs } from 'node:util'

const text = (value) => ({ type: 'string', default: value })

/**
 * Reads the command line: flags that name a case, by default VGG-16 in training, and those of `options`.
 * @param {Record<string, string>} options further flags with their defaults
 */
export function readCase(options) {
  const usual = { mode: 'training', variant: 'D', batch: '256', 'image-size': '224', width: '1', 'head-width': '4096' }
  const all = Object.entries({ ...usual, precision: 'bf16', ...options })
  const { values: flags } = parseArgs({ options: Object.fromEntries(all.map(([name, value]) => [name, text(value)])) })
  const { mode, variant, precision } = flags
  const [batch, imageSize, width, headWidth] = ['batch', 'image-size', 'width', 'head-width'].map((name) =>
    Number(flags[name]),
  )
  return { flags, precision, benchCase: { variant, imageSize, batch, mode, width, headWidth, classes: 1000 } }
}
