// librsvg cannot be interrupted, not even while it works out how large an image is: a process of its own can be killed.
import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { VggError } from '../../error.js'
import { isPlainNode } from '../../platform/load/binary-check.js'
import type { CropBox, CropSpec, PixelSize } from './crop.js'
import type { Decoding } from './formats.js'
import { tooSlow, unreadable } from './unreadable.js'

/** What the process is asked for: the size, or a part of the image drawn at a size. */
interface SvgRequest extends Pick<Decoding, 'pixelLimit' | 'decodeSeconds'> {
  readonly drawn?: { readonly box: Omit<CropBox, 'smallestSide'>; readonly crop: CropSpec }
}

// It ends itself in time, even where the process that waits for it is gone. SIGTERM says so: SIGKILL is the system's.
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

/** Beyond the bytes of the answer: for messages. */
const messageBytes = 2 ** 20

/** @throws VggError FILE_FORMAT, whose message is the bare reason; STATE where no process can be started */
function answerTo(bytes: Uint8Array, request: SvgRequest): Promise<Buffer> {
  if (!isPlainNode()) {
    throw new VggError('STATE', 'An SVG image is drawn by a process of Node, and this application cannot start one')
  }
  const sharp = createRequire(import.meta.url).resolve('sharp')
  const { NODE_OPTIONS: _, ...env } = process.env
  const { height, width, channels } = request.drawn?.crop ?? { height: 0, width: 0, channels: 1 }
  const options = { env, encoding: 'buffer', maxBuffer: height * width * channels + messageBytes } as const
  return new Promise((resolve, reject) => {
    const words = ['-e', program, sharp, JSON.stringify(request)]
    const child = execFile(process.execPath, words, options, (error, stdout) => {
      if (!error) resolve(stdout)
      else if (error.signal === 'SIGTERM') reject(tooSlow(request.decodeSeconds))
      else if (error.signal) reject(unreadable(`the process that decoded it was ended by ${error.signal}`, error))
      else if (typeof error.code === 'number') reject(unreadable('it is damaged, decoding it failed', error))
      else reject(new VggError('STATE', `Could not start a process to decode an SVG image: ${error.message}`))
    })
    // One that has ended does not read on; why, its exit says.
    child.stdin?.on('error', () => undefined).end(bytes)
  })
}

/** The size of an SVG in pixels. @throws as {@link drawSvg} does */
export async function sizeOfSvg(bytes: Uint8Array, { pixelLimit, decodeSeconds }: Decoding): Promise<PixelSize> {
  return JSON.parse((await answerTo(bytes, { pixelLimit, decodeSeconds })).toString()) as PixelSize
}

/**
 * Draws an SVG at the box's size, on black, and cuts a part out.
 *
 * @returns uint8, height x width x channels of the crop
 * @throws VggError FILE_FORMAT, whose message is the bare reason; STATE where no process can be started
 */
export function drawSvg(
  bytes: Uint8Array,
  box: Omit<CropBox, 'smallestSide'>,
  crop: CropSpec,
  { pixelLimit, decodeSeconds }: Decoding,
): Promise<Buffer> {
  return answerTo(bytes, { pixelLimit, decodeSeconds, drawn: { box, crop } })
}
