/**
 * Moves each image by its own whole number of pixels; what leaves is lost, what comes in is background.
 *
 * @param pixels uint8, n h w c
 * @param shape [n, height, width, channels]
 * @param moves [n, 2]: rows down and columns to the right, negative for up and left
 * @param background value of the pixels that come in, 0 to 255
 * @returns new memory of the same shape
 */
export function shiftImages(
  pixels: Uint8Array,
  shape: readonly number[],
  moves: Int32Array,
  background: number,
): Uint8Array {
  const [images = 0, height = 0, width = 0, channels = 0] = shape
  const moved = new Uint8Array(pixels.length).fill(background)
  const rowBytes = width * channels
  for (let image = 0; image < images; image++) {
    const down = moves[2 * image] ?? 0
    const right = moves[2 * image + 1] ?? 0
    const kept = Math.max(0, width - Math.abs(right)) * channels
    const from = Math.max(0, -right) * channels
    const to = Math.max(0, right) * channels
    for (let row = Math.max(0, down); row < Math.min(height, height + down); row++) {
      const source = (image * height + row - down) * rowBytes + from
      moved.set(pixels.subarray(source, source + kept), (image * height + row) * rowBytes + to)
    }
  }
  return moved
}
