/** Sides of an image as it is and rescaled. */
export interface Rescaling {
  readonly source: readonly [height: number, width: number]
  readonly box: readonly [height: number, width: number]
}

/** The weights of each pixel of an axis: a triangle, widened to the scale, cut off at the image's edges. */
function weightsOf(source: number, size: number): [tap: number, weight: number][][] {
  const scale = source / size
  const support = Math.max(scale, 1)
  return Array.from({ length: size }, (_, pixel) => {
    const centre = (pixel + 0.5) * scale
    const heights = Array.from({ length: source }, (_, tap) => Math.max(0, 1 - Math.abs(tap + 0.5 - centre) / support))
    const sum = heights.reduce((one, other) => one + other)
    return heights.flatMap((height, tap): [number, number][] => (height > 0 ? [[tap, height / sum]] : []))
  })
}

/** All of an image by the triangle kernel, in real numbers, not rounded. */
export function rescaled(pixels: Uint8Array, { source, box }: Rescaling, channels: number): Float64Array {
  const [rows, columns] = [weightsOf(source[0], box[0]), weightsOf(source[1], box[1])]
  const across = new Float64Array(source[0] * box[1] * channels)
  for (let row = 0; row < source[0]; row++) {
    for (const [column, weights] of columns.entries()) {
      for (const [tap, weight] of weights) {
        for (let channel = 0; channel < channels; channel++) {
          across[(row * box[1] + column) * channels + channel] +=
            weight * (pixels[(row * source[1] + tap) * channels + channel] ?? 0)
        }
      }
    }
  }
  const lineLength = box[1] * channels
  const result = new Float64Array(box[0] * lineLength)
  for (const [row, weights] of rows.entries()) {
    for (const [tap, weight] of weights) {
      for (let position = 0; position < lineLength; position++) {
        result[row * lineLength + position] += weight * (across[tap * lineLength + position] ?? 0)
      }
    }
  }
  return result
}
