import { appendFileSync } from 'node:fs'

/**
 * Adds a finding, as a line of JSON, to the file VGGNET_LINES: it is on disk before anything else can go wrong. The part that it
 * belongs to is VGGNET_PART. Without such a file it is printed.
 * @param {Record<string, unknown>} finding
 */
export function addFinding(finding) {
  const { VGGNET_LINES: file, VGGNET_PART: part } = process.env
  const line = `${JSON.stringify({ ...(part && { part }), ...finding })}\n`
  if (file) appendFileSync(file, line)
  else process.stdout.write(line)
}
