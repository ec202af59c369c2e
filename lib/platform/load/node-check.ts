// Imported before everything else, which may use what an older Node lacks. Throws UNSUPPORTED_PLATFORM on such a Node.
import { VggError } from '../../error.js'

/** The oldest supported version of Node, as in the `engines` of package.json. */
export const nodeFloor = '20.17'

/** The text of the error for an unsupported version of Node, or '' for a supported one. Runs on any Node with ES modules. */
export function nodeObstacle(version: string, program: string): string {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const [leastMajor = 0, leastMinor = 0] = nodeFloor.split('.').map(Number)
  if (major > leastMajor || (major === leastMajor && minor >= leastMinor)) return ''
  return [
    'vggnet does not run on this Node.',
    `Found: Node ${version} (${program})`,
    `Required: Node ${nodeFloor} or later`,
    "Cure: a newer Node first on the PATH: `nvm install 22`, your system's package manager, or `npx -p node@22 node PROGRAM`",
  ].join('\n')
}

const obstacle = nodeObstacle(process.versions.node, process.execPath)
if (obstacle !== '') throw new VggError('UNSUPPORTED_PLATFORM', obstacle)
