import { WheelProblem } from './problem.mjs'

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
