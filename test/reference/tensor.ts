/** Shape of an activation: n c h w. A linear layer on a 1x1 map gives h = w = 1. */
export type Shape = readonly [images: number, channels: number, height: number, width: number]

/** A float64 tensor, contiguous in n c h w order. */
export interface Tensor64 {
  readonly shape: Shape
  readonly data: Float64Array
}

export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, side) => product * side, 1)
}

export function zeros(shape: Shape): Tensor64 {
  return { shape, data: new Float64Array(elementCount(shape)) }
}

export function tensorOf(shape: Shape, values: ArrayLike<number>): Tensor64 {
  const count = elementCount(shape)
  if (values.length !== count) throw new Error(`Expected ${count} values for [${shape}] but received ${values.length}`)
  return { shape, data: Float64Array.from(values) }
}

export function sumOf(a: Tensor64, b: Tensor64): Tensor64 {
  if (a.data.length !== b.data.length) throw new Error(`Expected [${a.shape}] but received [${b.shape}]`)
  return { shape: a.shape, data: a.data.map((value, i) => value + b.data[i]) }
}
