import { expect, test } from 'vitest'
import { expectClose } from '../compare.js'
import { goldenParameters, goldenPixels, readGolden } from '../reference/golden.js'
import { softmaxLoss } from '../reference/loss.js'
import { ReferenceRun } from '../reference/network.js'
import { sgd } from '../reference/sgd.js'

/** The goldens are float64 results stored as float32. */
const stored = { relative: 1e-7 }

test.each(['A', 'A-LRN', 'B', 'C', 'D', 'E'])('the reference agrees with PyTorch on configuration %s', (variant) => {
  const { case: golden, tensors } = readGolden(`small-${variant}`)
  const pixels = goldenPixels(golden)
  const parameters = new Map([...goldenParameters(golden)].map((p) => [p.name, Float64Array.from(p.data)]))
  const velocities = new Map([...parameters].map(([name, values]) => [name, new Float64Array(values.length)]))

  for (const step of [0, 1]) {
    const run = new ReferenceRun(golden.layers, parameters, pixels)
    const { loss, gradient } = softmaxLoss(run.output, golden.labels)
    expect(loss).toBeCloseTo(golden.losses[step], 10)
    const gradients = run.backward(gradient).parameters
    if (step === 0) {
      expectClose('logits', run.output.data, tensors.get('logits') ?? [], stored)
      for (const [name, values] of gradients) expectClose(name, values, tensors.get(`gradients/${name}`) ?? [], stored)
      expect(gradients.size + 1).toBe(tensors.size)
    }
    for (const [name, values] of parameters)
      sgd(values, velocities.get(name)!, gradients.get(name)!, {
        ...golden.sgd,
        learningRate: golden.sgd.learningRates[step],
      })
  }
})
