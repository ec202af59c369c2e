/** An IDX file of unsigned bytes: the header of a shape, then the data. */
export function idxBytes(shape: readonly number[], data: Uint8Array): Uint8Array {
  const header = Buffer.alloc(4 + 4 * shape.length)
  header.set([0, 0, 8, shape.length])
  shape.forEach((side, axis) => {
    header.writeUInt32BE(side, 4 + 4 * axis)
  })
  return Buffer.concat([header, data])
}
