import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { Tensor } from '../../lib/tensor.js'

const floats = (values: number[], shape?: number[]) => Tensor.from(Float32Array.from(values), shape)
const withCode = (code: string) => expect.objectContaining({ name: 'VggError', code })

describe('Tensor', () => {
  it('shares memory with the array it is made from, and with its slices', async () => {
    const data = Float32Array.from([1, 2, 3, 4, 5, 6])
    const tensor = Tensor.from(data, [3, 2])
    const slice = tensor.slice(1, 3)
    data[2] = 30
    expect(await tensor.data()).toBe(data)
    expect(slice.shape).toEqual([2, 2])
    expect([...(await slice.data())]).toEqual([30, 4, 5, 6])
    expect(tensor.slice(2).shape).toEqual([1, 2])
    expect(tensor.slice(3).shape).toEqual([0, 2])
  })

  it('takes its type from the array', () => {
    expect(Tensor.from(new Uint8Array(2)).dtype).toBe('uint8')
    expect(Tensor.from(new Int32Array(2)).dtype).toBe('int32')
    expect(Tensor.from(Buffer.alloc(6), [1, 1, 2, 3]).dtype).toBe('uint8')
    expect(Tensor.zeros([2, 2], { dtype: 'int32' }).dtype).toBe('int32')
    expect(Tensor.zeros([2]).dtype).toBe('float32')
  })

  it('has a frozen shape of its own', () => {
    const shape = [2, 3]
    const tensor = Tensor.zeros(shape)
    shape[0] = 9
    expect(tensor.shape).toEqual([2, 3])
    expect(Object.isFrozen(tensor.shape)).toBe(true)
    expect(Object.isFrozen(tensor.slice(0, 1).shape)).toBe(true)
  })

  it('refuses wrong arrays, shapes and counts', () => {
    expect(() => Tensor.from(new Float64Array(3) as never)).toThrow(
      'Expected a Float32Array, Uint8Array or Int32Array for data but received Float64Array(3)',
    )
    expect(() => Tensor.from([1, 2] as never)).toThrow(/received \[1, 2\] \(array\)/)
    expect(() => Tensor.from(new Float32Array(5), [2, 3])).toThrow(
      'Expected 6 elements for shape [2, 3] but received 5',
    )
    expect(() => Tensor.from(new Float32Array(5), [2, 3])).toThrow(withCode('SHAPE_MISMATCH'))
    for (const shape of [[-1], [1.5], [Number.NaN], ['2'], 3, null, [2 ** 40, 2 ** 40]]) {
      expect(() => Tensor.zeros(shape as never)).toThrow(withCode('INVALID_ARGUMENT'))
    }
    expect(() => Tensor.zeros([2 ** 50])).toThrow(withCode('OUT_OF_MEMORY'))
    expect(() => Tensor.zeros([1], { dtyp: 'uint8' } as never)).toThrow(/did you mean 'dtype'\?/)
    expect(() => Tensor.randn([1], {} as never)).toThrow(/for seed but received undefined/)
    expect(() => Tensor.randn([1], { seed: 1, std: -1 })).toThrow(/for std but received -1/)
    expect(() => floats([1, 2]).slice(1, 3)).toThrow(/an integer from 0 to 2 for end/)
    expect(() => floats([1, 2]).slice(2, 1)).toThrow(/an integer from 0 to 1 for start/)
  })

  it('notices a detached buffer, when it is made and when it is used', async () => {
    const data = new Float32Array(4)
    const tensor = Tensor.from(data)
    structuredClone(data.buffer, { transfer: [data.buffer] })
    await expect(tensor.data()).rejects.toThrow(withCode('INVALID_ARGUMENT'))
    await expect(tensor.data()).rejects.toThrow(/detached/)
    expect(() => Tensor.from(data, [4])).toThrow(/detached/)
    expect(() => Tensor.from(data)).toThrow(/detached/)
  })

  it('cannot be used after dispose, and its slices can', async () => {
    const tensor = floats([1, 2, 3, 4], [2, 2])
    const slice = tensor.slice(0, 1)
    tensor.dispose()
    tensor[Symbol.dispose]()
    await expect(tensor.data()).rejects.toThrow('The float32 tensor of shape [2, 2] was disposed')
    await expect(tensor.argmax()).rejects.toThrow(withCode('DISPOSED'))
    expect(() => tensor.slice(0, 1)).toThrow(withCode('DISPOSED'))
    expect([...(await slice.data())]).toEqual([1, 2])
    expect(inspect(tensor)).toBe('Tensor float32 [2, 2] (disposed)')
  })

  it('draws normal numbers by seed', async () => {
    const one = await Tensor.randn([2, 3], { seed: 4 }).data()
    expect(await Tensor.randn([3, 2], { seed: 4 }).data()).toEqual(one)
    expect(await Tensor.randn([2, 3], { seed: 5 }).data()).not.toEqual(one)
    const shifted = await Tensor.randn([6], { seed: 4, mean: 10, std: 0 }).data()
    expect([...shifted]).toEqual([10, 10, 10, 10, 10, 10])
  })

  it('finds the largest of each row', async () => {
    expect(await floats([1, 5, 2, 7, 7, 0], [2, 3]).argmax()).toEqual([1, 0])
    expect(await floats([1, 5, 2]).argmax()).toEqual([1])
    expect(await floats([-3, Number.NEGATIVE_INFINITY]).argmax()).toEqual([0])
    expect(await floats([1, Number.NaN, 9]).argmax()).toEqual([1])
    expect(await floats([], [0, 3]).argmax()).toEqual([])
    await expect(floats([1], [1, 1, 1]).argmax()).rejects.toThrow(/\[n, classes\] or \[classes\]/)
    await expect(floats([], [2, 0]).argmax()).rejects.toThrow(withCode('SHAPE_MISMATCH'))
  })

  it('orders the k largest, of equals the first first', async () => {
    expect(await floats([3, 9, 3, 8, 9], [1, 5]).topk(4)).toEqual([
      [
        { index: 1, value: 9 },
        { index: 4, value: 9 },
        { index: 3, value: 8 },
        { index: 0, value: 3 },
      ],
    ])
    await expect(floats([1, 2]).topk(3)).rejects.toThrow(/an integer from 1 to 2 for k/)
  })

  it('takes the soft-max over the classes, also of a map, and of large numbers', async () => {
    const row = await (await floats([1000, 1000, 999], [1, 3]).softmax()).data()
    const sum = 2 + Math.exp(-1)
    expect([...row]).toEqual([1 / sum, 1 / sum, Math.exp(-1) / sum].map(Math.fround))
    const map = await floats([0, 1, Math.log(3), 1], [1, 2, 1, 2]).softmax()
    expect(map.shape).toEqual([1, 2, 1, 2])
    const positions = await map.data()
    for (const [index, value] of [0.25, 0.5, 0.75, 0.5].entries()) expect(positions[index]).toBeCloseTo(value, 6)
    expect([...(await (await floats([5]).softmax()).data())]).toEqual([1])
    await expect(Tensor.from(new Uint8Array(2)).softmax()).rejects.toThrow(/a float32 tensor for softmax/)
  })
})
