/**
 * @typedef {'UNSUPPORTED_PLATFORM' | 'MISSING_TOOL' | 'DOWNLOAD_FAILED' | 'HASH_MISMATCH' | 'FILE_FORMAT' | 'FILE_WRITE'
 *   | 'FILE_NOT_FOUND' | 'ABORTED'} WheelCode
 */

/** The error for a wheel that cannot be fetched or unpacked: a sentence, and a `code` for programs. */
export class WheelProblem extends Error {
  /**
   * @param {WheelCode} code
   * @param {string} message
   * @param {string} [log] output of the failed command, printed before the sentence
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
  ENOSPC: 'the disk is full: free some space, or set VGGNET_CACHE to another folder',
  EDQUOT: 'the disk quota is used up: free some space, or set VGGNET_CACHE to another folder',
  EFBIG: 'the file exceeds the size limit of this process (ulimit -f)',
  EACCES: 'permission denied: set VGGNET_CACHE to a writable folder',
  EPERM: 'permission denied: set VGGNET_CACHE to a writable folder',
  EROFS: 'the file system is read-only: set VGGNET_CACHE to a writable folder',
  ENOENT: 'the folder cannot be created: set VGGNET_CACHE to another one',
  ENOTDIR: 'a part of the path is a file: set VGGNET_CACHE to a folder',
}

/** Whether an error is a system error, with a code such as ENOSPC. @param {Error} error */
export const isSystemError = (error) => 'code' in error && /^E[A-Z0-9]+$/.test(String(error.code))

/**
 * Converts a system error while writing `location` to a sentence with its fix.
 * @param {string} location
 * @param {unknown} error
 * @returns {unknown} a WheelProblem, or the error itself if it is not a system error
 */
export function writeProblem(location, error) {
  if (!(error instanceof Error) || !isSystemError(error)) return error
  const code = 'code' in error ? String(error.code) : ''
  return new WheelProblem('FILE_WRITE', `could not write in ${location}: ${cures[code] ?? error.message} (${code})`)
}

/**
 * Throws on a platform that neither the wheels nor a build support.
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
  // The network part of a report resolves host names, which can take seconds.
  if (process.report) Object.assign(process.report, { excludeNetwork: true })
  const report = platform === 'linux' ? process.report?.getReport() : undefined
  const { glibcVersionRuntime: glibc } =
    /** @type {{ header?: { glibcVersionRuntime?: string } } | undefined} */ (report)?.header ?? {}
  return { platform, arch, glibc }
}
