import path from 'node:path'
import { messageOf } from '../../error.js'
import { packageVersion } from '../package.js'
import { triedApart } from './binary-trial.js'
import { addonFiles, type FileFault, fileFault, type Manifest, manifestName, manifestOf } from './manifest.js'

const faultText = ({ name, text }: FileFault): string => `${name} ${text}`

function obstacleBeside(binary: string, manifest: Manifest): string {
  const folder = path.dirname(binary)
  const own = packageVersion()
  if (manifest.version !== own) return `is of vggnet ${manifest.version}, and the package of vggnet ${own}`
  const faults = addonFiles(manifest).flatMap((name) => fileFault(folder, name, manifest) ?? [])
  if (faults.length === 0) return ''
  const { buildId, reason = '' } = triedApart(binary)
  // the system may have what is missing
  const wrong = faults.filter(({ kind }) => kind !== 'missing')
  if (wrong.length === 0) return reason && [...faults.map(faultText), reason].join('; ')
  const other = buildId === undefined || buildId === manifest.buildId ? reason : `it is of build ${buildId}`
  return [...wrong.map(faultText), `the package was made with build ${manifest.buildId}`, other]
    .filter(Boolean)
    .join('; ')
}

/**
 * Why a binary that has not been seen to load must not be loaded into this process, in words; empty where it may be: a
 * package's own with the right content, and another that loads in a process of its own.
 */
export function obstacleTo(binary: string): string {
  let manifest: Manifest | undefined
  try {
    manifest = manifestOf(binary)
  } catch (error) {
    return `${manifestName} beside it is damaged: ${messageOf(error)}`
  }
  return manifest === undefined ? (triedApart(binary).reason ?? '') : obstacleBeside(binary, manifest)
}
