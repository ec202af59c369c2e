import { VggError } from '../../error.js'
import { notFound } from '../../files/not-found.js'

/**
 * The error for a file of images or labels that could not be read: FILE_NOT_FOUND or FILE_FORMAT; a VggError as it is.
 *
 * @param packed the gzip file that was expected, for the message if unpacking failed
 */
export function fileError(error: unknown, file: string, packed = 'a whole gzip file'): VggError {
  if (error instanceof VggError) return error
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'ENOENT') return notFound(`No file at ${file}`, file, error)
  const unpacking = code?.startsWith('Z_') === true || code === 'ERR_BUFFER_TOO_LARGE'
  const text = unpacking
    ? `Expected ${packed} for ${file} but unpacking it failed: ${message}; copy or download it again`
    : `Could not read ${file}: ${message}`
  return new VggError('FILE_FORMAT', text, { cause: error })
}
