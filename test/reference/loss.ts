import { type Tensor64, zeros } from './tensor.js'

export interface Loss {
  readonly loss: number
  /** With respect to the logits. */
  readonly gradient: Tensor64
}

/** Soft-max and cross-entropy of logits n classes 1 1, divided by `batch` (more than n for a micro-batch). */
export function softmaxLoss(logits: Tensor64, labels: ArrayLike<number>, batch = logits.shape[0]): Loss {
  const [n, classes, h, w] = logits.shape
  if (h * w !== 1) throw new Error(`Expected logits over one position but received [${logits.shape}]`)
  const gradient = zeros(logits.shape)
  let loss = 0
  for (let image = 0; image < n; image++) {
    const row = logits.data.subarray(image * classes, (image + 1) * classes)
    const largest = Math.max(...row)
    const sum = row.reduce((total, value) => total + Math.exp(value - largest), 0)
    loss += (Math.log(sum) + largest - row[labels[image]]) / batch
    for (let c = 0; c < classes; c++) {
      const onehot = c === labels[image] ? 1 : 0
      gradient.data[image * classes + c] = (Math.exp(row[c] - largest) / sum - onehot) / batch
    }
  }
  return { loss, gradient }
}
