/**
 * Numbers that both sides of a golden compute for themselves: integer arithmetic only, so exact in any language. The
 * same formula stands in formula() of generate.py.
 *
 *   bits(name, i) = mix(i ^ mix(fnv1a(name)))           uint32
 *   value(name, i, e) = ((bits >>> 8) - 2^23) * 2^(e - 23)   in [-2^e, 2^e), 24 bits and so an exact float32
 *   byte(name, i) = bits >>> 24
 */
export function keyOf(name: string): number {
  let hash = 0x811c9dc5
  for (const character of name) hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193)
  return mix(hash)
}

function mix(value: number): number {
  let x = value
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d)
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b)
  return (x ^ (x >>> 16)) >>> 0
}

/** `count` values of the stream called `name`, uniform in [-2^exponent, 2^exponent). */
export function formulaValues(name: string, count: number, exponent: number): Float32Array {
  const key = keyOf(name)
  const unit = 2 ** (exponent - 23)
  const values = new Float32Array(count)
  for (let i = 0; i < count; i++) values[i] = ((mix(i ^ key) >>> 8) - 0x800000) * unit
  return values
}

/** `count` bytes, uniform in 0 ... 255. */
export function formulaBytes(name: string, count: number): Uint8Array {
  const key = keyOf(name)
  const bytes = new Uint8Array(count)
  for (let i = 0; i < count; i++) bytes[i] = mix(i ^ key) >>> 24
  return bytes
}

/** `count` whole numbers below `below`: labels, positions to look at. */
export function formulaIndices(name: string, count: number, below: number): number[] {
  const key = keyOf(name)
  return Array.from({ length: count }, (_, i) => mix(i ^ key) % below)
}
