export type Words = readonly [number, number, number, number]

const bits = 2 ** 32

/** Philox4x32-10 (Salmon et al. 2011): four uint32 from a counter and a key. */
export function philox(counter: Words, key: readonly [number, number]): Words {
  let [a, b, c, d] = counter
  let [k0, k1] = key
  for (let round = 0; round < 10; round++) {
    const [highA, lowA] = product(0xd2511f53, a)
    const [highC, lowC] = product(0xcd9e8d57, c)
    ;[a, b, c, d] = [(highC ^ b ^ k0) >>> 0, lowC, (highA ^ d ^ k1) >>> 0, lowA]
    k0 = (k0 + 0x9e3779b9) >>> 0
    k1 = (k1 + 0xbb67ae85) >>> 0
  }
  return [a, b, c, d]
}

function product(a: number, b: number): readonly [high: number, low: number] {
  const whole = BigInt(a) * BigInt(b)
  return [Number(whole >> 32n), Number(whole & 0xffffffffn)]
}

export function lowWord(value: number): number {
  return value % bits
}

export function highWord(value: number): number {
  return Math.floor(value / bits)
}
