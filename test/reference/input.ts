import { type Shape, type Tensor64, zeros } from './tensor.js'

/** What is done to one batch before the mean is subtracted; one flip per image, one shift per image and channel. */
export interface Augmentation {
  readonly flip?: readonly boolean[]
  /** n c, in units of raw pixels. */
  readonly shift?: ArrayLike<number>
}

export interface InputScale {
  readonly mean: readonly number[]
  readonly scale: readonly number[]
}

/** uint8 images, n h w c, as a float64 tensor n c h w. */
export function imagesToTensor(bytes: Uint8Array, [n, c, h, w]: Shape): Tensor64 {
  const output = zeros([n, c, h, w])
  for (let image = 0; image < n; image++)
    for (let channel = 0; channel < c; channel++)
      for (let pixel = 0; pixel < h * w; pixel++)
        output.data[(image * c + channel) * h * w + pixel] = bytes[(image * h * w + pixel) * c + channel]
  return output
}

/** y = (x + shift - mean) * scale, columns mirrored where the image is flipped. */
export function input(pixels: Tensor64, { mean, scale }: InputScale, augmentation: Augmentation = {}): Tensor64 {
  const output = zeros(pixels.shape)
  visit(pixels.shape, augmentation.flip, (image, channel, from, to) => {
    const shift = augmentation.shift?.[image * pixels.shape[1] + channel] ?? 0
    output.data[to] = (pixels.data[from] + shift - mean[channel]) * scale[channel]
  })
  return output
}

/** Gradient with respect to the caller's pixels: scaled back, and mirrored back where the image was flipped. */
export function inputGradient(gradient: Tensor64, { scale }: InputScale, augmentation: Augmentation = {}): Tensor64 {
  const output = zeros(gradient.shape)
  visit(gradient.shape, augmentation.flip, (_image, channel, from, to) => {
    output.data[from] = gradient.data[to] * scale[channel]
  })
  return output
}

function visit(
  [n, c, h, w]: Shape,
  flip: readonly boolean[] | undefined,
  body: (image: number, channel: number, from: number, to: number) => void,
): void {
  for (let image = 0; image < n; image++)
    for (let channel = 0; channel < c; channel++)
      for (let y = 0; y < h; y++)
        for (let x = 0; x < w; x++) {
          const row = ((image * c + channel) * h + y) * w
          body(image, channel, row + x, row + (flip?.[image] ? w - 1 - x : x))
        }
}
