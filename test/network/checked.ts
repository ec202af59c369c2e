import { preflight } from '../../lib/check/preflight.js'
import type { PreflightOptions, PreflightReport } from '../../lib/check/preflight-report.js'
import { type Dataset, imageBytes } from '../../lib/data/dataset.js'
import type { VggOptions } from '../../lib/vgg/options.js'
import { smallNet, stripes } from '../setup/stripes.js'

/** D of the width for which the limits were measured. */
export const quarter = { variant: 'D', width: 0.25, headWidth: 256, meanRgb: 128, threads: 1 } as const

/** The report on a small net. */
export async function checked(
  net: Partial<VggOptions>,
  options: Partial<PreflightOptions> = {},
): Promise<PreflightReport> {
  using made = await smallNet(net)
  const { initialisation } = net
  return await preflight(made, {
    training: stripes(64, 1),
    batch: 32,
    epochs: 200,
    ...(initialisation && { initialisation }),
    ...options,
  })
}

/** The pixels of all images. */
export const all = ({ count }: Dataset): Int32Array => Int32Array.from({ length: count }, (_, index) => index)

export async function pixelsOf(data: Dataset): Promise<Uint8Array> {
  const pixels = new Uint8Array(data.count * imageBytes(data))
  await data.read(all(data), pixels)
  return pixels
}
