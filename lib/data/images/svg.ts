// SVGs are rendered in a separate process, because librsvg cannot be interrupted, not even while it computes a size.
import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { VggError } from '../../error.js'
import { isPlainNode } from '../../platform/load/binary-check.js'
import type { CropBox, CropSpec, PixelSize } from './crop.js'
import { type Decoding, tooSlow, unreadable } from './formats.js'

/** A request to the process: the size of the image, or with `drawn` a crop of the rendered image. */
interface SvgRequest extends Pick<Decoding, 'pixelLimit' | 'decodeSeconds'> {
  readonly drawn?: { readonly box: Omit<CropBox, 'smallestSide'>; readonly crop: CropSpec }
}

// The process ends itself at the time limit, even if its parent is gone. It uses SIGTERM, as SIGKILL comes from the system.
const program = `
const sharp = require(process.argv[1])
const { pixelLimit, decodeSeconds, drawn } = JSON.parse(process.argv[2])
const sizeOf = async (image) => {
  const { height, width } = await image.metadata()
  return JSON.stringify({ height, width })
}
const draw = (image, { box, crop }) =>
  image
    .flatten({ background: '#000' })
    .resize(box.width, box.height, { fit: 'fill', kernel: 'linear' })
    .extract({ left: box.left, top: box.top, width: crop.width, height: crop.height })
    .toColourspace(crop.channels === 1 ? 'b-w' : 'srgb')
    .raw({ depth: 'uchar' })
    .toBuffer()
setTimeout(() => process.kill(process.pid, 'SIGTERM'), 1000 * decodeSeconds).unref()
const parts = []
process.stdin.on('data', (part) => parts.push(part)).on('end', async () => {
  const image = sharp(Buffer.concat(parts), { failOn: 'error', limitInputPixels: drawn ? pixelLimit : false })
  process.stdout.write(await (drawn ? draw(image, drawn) : sizeOf(image)))
})`

/** Allowance for messages besides the bytes of the answer. */
const messageBytes = 2 ** 20

/** @throws VggError FILE_FORMAT, whose message is the bare reason; STATE if no process can be started */
function answerTo(bytes: Uint8Array, request: SvgRequest): Promise<Buffer> {
  if (!isPlainNode()) {
    throw new VggError('STATE', 'An SVG image is rendered by a process of Node, and this application cannot start one')
  }
  const sharp = createRequire(import.meta.url).resolve('sharp')
  const { NODE_OPTIONS: _, ...env } = process.env
  const { height, width, channels } = request.drawn?.crop ?? { height: 0, width: 0, channels: 1 }
  const options = { env, encoding: 'buffer', maxBuffer: height * width * channels + messageBytes } as const
  return new Promise((resolve, reject) => {
    const programArguments = ['-e', program, sharp, JSON.stringify(request)]
    const child = execFile(process.execPath, programArguments, options, (error, stdout) => {
      if (!error) resolve(stdout)
      else if (error.signal === 'SIGTERM') reject(tooSlow(request.decodeSeconds))
      else if (error.signal) reject(unreadable(`the process that decoded it was ended by ${error.signal}`, error))
      else if (typeof error.code === 'number') reject(unreadable('it is damaged, decoding it failed', error))
      else reject(new VggError('STATE', `Could not start a process to decode an SVG image: ${error.message}`))
    })
    // Writing fails if the process has ended; its exit status gives the reason.
    child.stdin?.on('error', () => undefined).end(bytes)
  })
}

/** Computes the size of an SVG in pixels. @throws VggError the errors of {@link drawSvg} */
export async function sizeOfSvg(bytes: Uint8Array, { pixelLimit, decodeSeconds }: Decoding): Promise<PixelSize> {
  return JSON.parse((await answerTo(bytes, { pixelLimit, decodeSeconds })).toString()) as PixelSize
}

/**
 * Renders an SVG on black at the size of the box, and takes a crop of it.
 *
 * @returns uint8 [height, width, channels] of the crop
 * @throws VggError FILE_FORMAT, whose message is the bare reason; STATE if no process can be started
 */
export function drawSvg(
  bytes: Uint8Array,
  box: Omit<CropBox, 'smallestSide'>,
  crop: CropSpec,
  { pixelLimit, decodeSeconds }: Decoding,
): Promise<Buffer> {
  return answerTo(bytes, { pixelLimit, decodeSeconds, drawn: { box, crop } })
}
