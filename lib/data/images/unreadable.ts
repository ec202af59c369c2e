import { VggError } from '../../error.js'

/** The fault of an image file that cannot be read; its message is the bare reason, to which the caller adds the name. */
export const unreadable = (reason: string, cause?: unknown): VggError => new VggError('FILE_FORMAT', reason, { cause })

/** The fault of an image that takes too long to decode. */
export const tooSlow = (seconds: number, cause?: unknown): VggError =>
  unreadable(`decoding it took longer than the limit of ${seconds} s`, cause)
