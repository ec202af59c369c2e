import { type Shape, type Tensor64, zeros } from './tensor.js'

export interface Pooled {
  readonly output: Tensor64
  /** For each output element the index of its winner in the input. */
  readonly winners: Int32Array
}

/** 2x2, stride 2, rounded down. The first of equal maxima wins, in the order (0,0), (0,1), (1,0), (1,1). */
export function maxPool({ shape: [n, c, h, w], data }: Tensor64): Pooled {
  const output = zeros([n, c, h >> 1, w >> 1])
  const winners = new Int32Array(output.data.length)
  let to = 0
  for (let plane = 0; plane < n * c; plane++)
    for (let y = 0; y + 1 < h; y += 2)
      for (let x = 0; x + 1 < w; x += 2, to++) {
        const corner = (plane * h + y) * w + x
        let winner = corner
        for (const candidate of [corner + 1, corner + w, corner + w + 1])
          if (data[candidate] > data[winner]) winner = candidate
        winners[to] = winner
        output.data[to] = data[winner]
      }
  return { output, winners }
}

export function maxPoolGradient(gradient: Tensor64, winners: Int32Array, inputShape: Shape): Tensor64 {
  const output = zeros(inputShape)
  winners.forEach((winner, i) => {
    output.data[winner] += gradient.data[i]
  })
  return output
}
