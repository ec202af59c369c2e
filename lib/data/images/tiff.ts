/**
 * Counts the directories of a TIFF, one for each of its pages. libtiff reads them all before it decodes the first page, in
 * about 0.1 ms each, and a link may lead back to an earlier one.
 *
 * @param most the count ends after as many
 */
export function directoriesOf(bytes: Uint8Array, most: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const little = bytes[0] === 0x49
  const big = bytes[little ? 2 : 3] === 43
  // a TIFF of more than 4 GB has numbers of 8 bytes, of which all that lie in the file fit into a double
  const link = (at: number) => (big ? Number(view.getBigUint64(at, little)) : view.getUint32(at, little))
  const [numberBytes, entryBytes, linkBytes] = big ? [8, 20, 8] : [2, 12, 4]
  let count = 0
  let at = bytes.length < 16 ? 0 : link(big ? 8 : 4)
  for (; at > 0 && at + numberBytes <= bytes.length && count <= most; count++) {
    const entries = big ? link(at) : view.getUint16(at, little)
    const next = at + numberBytes + entries * entryBytes
    at = next + linkBytes <= bytes.length ? link(next) : 0
  }
  return count
}
