import pc from 'picocolors'
import type { Metrics } from 'vggnet'
import type { Classified } from './classify.ts'

/** Side of the drawing in dots, half the image's side; two dots share a character cell. */
const dots = 16
/** First and last row and column of the drawing, without the padding. */
const [first, last] = [1, 15]

/** Means of 2x2 pixels of a 32x32 image, 0 to 255. */
function halved(pixels: Uint8Array): number[] {
  return Array.from({ length: dots * dots }, (_, dot) => {
    const corner = Math.floor(dot / dots) * 4 * dots + (dot % dots) * 2
    const four = [corner, corner + 1, corner + 2 * dots, corner + 2 * dots + 1]
    return four.reduce((sum, pixel) => sum + (pixels[pixel] ?? 0), 0) / 4
  })
}

/** Draws two dots, one above the other, as one character, in 256 colours or in black and white. */
function cell(above: number, below: number): string {
  if (!pc.isColorSupported)
    return [' ', '\u2584', '\u2580', '\u2588'][(above > 100 ? 2 : 0) + (below > 100 ? 1 : 0)] ?? ' '
  const grey = (value: number): number => 232 + Math.min(23, Math.floor(value / 10.7))
  return `\u001b[38;5;${grey(above)};48;5;${grey(below)}m\u2580`
}

function imageLines(pixels: Uint8Array): string[] {
  const values = halved(pixels)
  const lines: string[] = []
  for (let row = first - 1; row < last; row += 2) {
    let line = ''
    for (let column = first; column < last; column++) {
      line += cell(values[row * dots + column] ?? 0, values[(row + 1) * dots + column] ?? 0)
    }
    lines.push(pc.isColorSupported ? `${line}\u001b[0m` : line)
  }
  return lines
}

function caption({ truth, answer, probability }: Classified): string {
  const width = last - first
  const plain = `${answer}  ${(100 * probability).toFixed(1)} %`
  const text = answer === truth ? pc.green(plain) : pc.red(`${plain} (${truth})`)
  const length = answer === truth ? plain.length : plain.length + 4
  return ' '.repeat(Math.max(0, (width - length) >> 1)) + text + ' '.repeat(Math.max(0, (width - length + 1) >> 1))
}

/** Draws rows of five digits, each with its prediction below. */
export function digitLines(found: readonly Classified[]): string[] {
  const lines: string[] = []
  for (let start = 0; start < found.length; start += 5) {
    const row = found.slice(start, start + 5)
    const images = row.map(({ pixels }) => imageLines(pixels))
    for (let line = 0; line < (images[0]?.length ?? 0); line++) {
      lines.push(images.map((image) => image[line]).join('  '))
    }
    lines.push(row.map(caption).join('  '), '')
  }
  return lines
}

/** Draws the confusion matrix: a row for each digit, a column for each prediction, and the accuracy. */
export function confusionLines({ confusion, perClass }: Metrics): string[] {
  const answers = perClass.map(({ name }) => name.padStart(5)).join('')
  const rows = perClass.map(({ name, accuracy }, truth) => {
    const cells = (confusion[truth] ?? []).map((count, answer) => {
      const text = (count === 0 ? '\u00b7' : String(count)).padStart(5)
      if (answer === truth) return pc.green(text)
      return count === 0 ? pc.dim(text) : pc.red(text)
    })
    return `${pc.bold(name.padStart(7))}${cells.join('')}  ${(100 * accuracy).toFixed(1).padStart(6)} %`
  })
  return [pc.dim(' digit   predicted'), pc.bold(`       ${answers} accuracy`), ...rows]
}
