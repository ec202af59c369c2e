/**
 * @typedef {'UNSUPPORTED_PLATFORM' | 'MISSING_TOOL' | 'DOWNLOAD_FAILED' | 'HASH_MISMATCH' | 'FILE_FORMAT' | 'FILE_WRITE'
 *   | 'FILE_NOT_FOUND' | 'ABORTED'} WheelCode
 */

/** The error for a wheel that is not available: one sentence, and `code` for programs. */
export class WheelProblem extends Error {
  /**
   * @param {WheelCode} code
   * @param {string} message
   * @param {string} [log] output of the command that failed, shown before the sentence
   */
  constructor(code, message, log = '') {
    super(message)
    this.name = 'WheelProblem'
    this.code = code
    this.log = log
  }
}

/** @type {Record<string, string>} */
const cures = {
  ENOSPC: 'the disk is full: make room there, or name another folder with VGGNET_CACHE',
  EDQUOT: 'your share of the disk is used up: make room there, or name another folder with VGGNET_CACHE',
  EFBIG: 'this process may not write so large a file (ulimit -f)',
  EACCES: 'you may not write there: name a folder of your own with VGGNET_CACHE',
  EPERM: 'you may not write there: name a folder of your own with VGGNET_CACHE',
  EROFS: 'it cannot be written to: name a folder of your own with VGGNET_CACHE',
  ENOENT: 'the folder cannot be made there (a disk that is read-only?): name another one with VGGNET_CACHE',
  ENOTDIR: 'a part of the path is a file: name a folder with VGGNET_CACHE',
}

/** Whether an error is one of the system, with a code such as ENOSPC. @param {Error} error */
export const isSystemError = (error) => 'code' in error && /^E[A-Z0-9]+$/.test(String(error.code))

/**
 * An error of the system while `position` was written, as a sentence with its cure.
 * @param {string} position
 * @param {unknown} error
 * @returns {unknown} a WheelProblem, or the error itself where it is none of the system
 */
export function writeProblem(position, error) {
  if (!(error instanceof Error) || !isSystemError(error)) return error
  const code = 'code' in error ? String(error.code) : ''
  return new WheelProblem('FILE_WRITE', `could not write in ${position}: ${cures[code] ?? error.message} (${code})`)
}

/**
 * Throws where neither the wheels nor a build can work.
 * @param {{ platform: string, arch: string, glibc: string | undefined }} [found]
 * @throws WheelProblem UNSUPPORTED_PLATFORM
 */
export function checkPlatform({ platform, arch, glibc } = currentPlatform()) {
  if (platform === 'linux' && arch === 'x64' && glibc) return
  const found = `${platform} ${arch}${platform === 'linux' && !glibc ? ' without glibc (musl)' : ''}`
  throw new WheelProblem('UNSUPPORTED_PLATFORM', `Expected Linux on x64 with glibc for vggnet but received ${found}`)
}

function currentPlatform() {
  const { platform, arch } = process
  // The network part of a report looks names up, which can take seconds.
  if (process.report) Object.assign(process.report, { excludeNetwork: true })
  const report = platform === 'linux' ? process.report?.getReport() : undefined
  const { glibcVersionRuntime: glibc } =
    /** @type {{ header?: { glibcVersionRuntime?: string } } | undefined} */ (report)?.header ?? {}
  return { platform, arch, glibc }
}
