import { type Check, objectOf, optional, text } from '../options.js'

/** Where the weights come from that a network began with. It is saved with the model. */
export interface Origin {
  /** Name of the source: 'torchvision', 'timm', 'keras', 'caffe', ... */
  readonly source: string
  /** Name of the file, or the address on the hub. */
  readonly file: string
  /** Bytes of the file that were fetched, as in HTTP, if it was a part. No hash of the whole file was checked then. */
  readonly ranges?: string | undefined
  /** SHA-256 of the whole file in hex; undefined for a part of it. */
  readonly sha256?: string | undefined
  /** Licence of the weights: an SPDX identifier or the name of its terms; undefined if it is unknown. */
  readonly licence?: string | undefined
}

const checks = { source: text, file: text, ranges: optional(text), sha256: optional(text), licence: optional(text) }

/** Check of {@link Origin}. */
export const origin: Check<Origin> = (value, name) => {
  const read = objectOf(checks)(value, name)
  return Object.fromEntries(Object.entries(read).filter(([, field]) => field !== undefined)) as unknown as Origin
}
