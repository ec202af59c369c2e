import { access, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import path from 'node:path'
import { messageOf, VggError } from '../error.js'

/** Whether a file or folder exists and can be reached. @throws FILE_FORMAT if the device or network reports an error */
export const exists = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    (cause) => {
      if (!['EIO', 'ESTALE', 'ETIMEDOUT'].includes(cause.code)) return false
      throw new VggError('FILE_FORMAT', `Could not read ${file}: ${messageOf(cause)}`, { cause })
    },
  )

/** Whether a path is that of a folder, also through links. */
export const isFolder = (file: string): Promise<boolean> =>
  stat(file).then(
    (found) => found.isDirectory(),
    () => false,
  )

/** The path with the home folder for `~`; undefined if it has no such component. */
export function withHome(file: string): string | undefined {
  const parts = file.split('/')
  const tilde = parts.indexOf('~')
  return tilde === -1 ? undefined : path.join(homedir(), ...parts.slice(tilde + 1))
}

/** Why a path that does not exist was probably typed, and what to write instead, as the end of a message; '' if unknown. */
export function missingHint(file: string): string {
  const home = withHome(file)
  if (home !== undefined) return `; only a shell expands '~', unquoted and at the start of a word: write ${home}`
  if (/[*?]|\[.+\]|\{.+\}/.test(file)) {
    return '; no file matches this pattern, and a shell then passes it on as it is: check the folder and the extension'
  }
  return file.includes('\\') ? "; folders are separated by '/', not by '\\'" : ''
}

/** The error for a path that does not exist. @param message the sentence that names it */
export const notFound = (message: string, file: string, cause?: unknown): VggError =>
  new VggError('FILE_NOT_FOUND', `${message}${missingHint(file)}`, { cause })
