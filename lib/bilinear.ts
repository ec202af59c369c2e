interface Size {
  readonly height: number
  readonly width: number
}

/** Where a pixel of the enlarged map lies among the samples of one axis: the two around it, and the share of the second. */
function samples(from: number, to: number): { first: number; second: number; share: number }[] {
  return Array.from({ length: to }, (_, pixel) => {
    const position = Math.min(Math.max(((pixel + 0.5) * from) / to - 0.5, 0), from - 1)
    const first = Math.floor(position)
    return { first, second: Math.min(first + 1, from - 1), share: position - first }
  })
}

/** A map enlarged by bilinear interpolation between the centres of its elements, as OpenCV and PyTorch do. */
export function enlarged(map: Float32Array, from: Size, to: Size): Float32Array {
  const columns = samples(from.width, to.width)
  const result = new Float32Array(to.height * to.width)
  for (const [row, down] of samples(from.height, to.height).entries()) {
    const [upper, lower] = [down.first * from.width, down.second * from.width]
    for (const [column, { first, second, share }] of columns.entries()) {
      const above = (map[upper + first] ?? 0) * (1 - share) + (map[upper + second] ?? 0) * share
      const below = (map[lower + first] ?? 0) * (1 - share) + (map[lower + second] ?? 0) * share
      result[row * to.width + column] = above * (1 - down.share) + below * down.share
    }
  }
  return result
}
