/** The oldest Node that vggnet runs on, as package.json's engines have it. */
export const nodeFloor = '20.17'

/** What is wrong with this Node, found, required and cure; empty where nothing is. Runs on any Node that knows modules. */
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
