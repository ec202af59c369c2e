import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import path from 'node:path'

// argv: folder, version, tag, and "member name=content" for each file; names under bin/ become executable.
const script = `
import sys, zipfile
folder, version, tag, *members = sys.argv[1:]
info = f'small_part-{version}.dist-info'
with zipfile.ZipFile(f'{folder}/small_part-{version}-{tag}.whl', 'w') as archive:
    for member in members:
        name, content = member.split('=', 1)
        entry = zipfile.ZipInfo(name)
        entry.external_attr = (0o100755 if '/bin/' in name else 0o100644) << 16
        archive.writestr(entry, content)
    archive.writestr(f'{info}/METADATA', f'Metadata-Version: 2.1\\nName: small-part\\nVersion: {version}\\n')
    archive.writestr(f'{info}/WHEEL', f'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: {tag}\\n')
    archive.writestr(f'{info}/RECORD', '')
`

export interface SmallWheel {
  requirement: string
  file: string
  bytes: number
  sha256: string
}

/** Makes a wheel `small-part` in `folder`, which pip finds there with PIP_FIND_LINKS. */
export function makeWheel(
  folder: string,
  version: string,
  members: Record<string, string>,
  tag = 'py3-none-any',
): SmallWheel {
  const pairs = Object.entries(members).map(([name, content]) => `${name}=${content}`)
  execFileSync('python3', ['-c', script, folder, version, tag, ...pairs])
  const file = `small_part-${version}-${tag}.whl`
  const content = readFileSync(path.join(folder, file))
  const sha256 = createHash('sha256').update(content).digest('hex')
  return { requirement: `small-part==${version}`, file, bytes: content.length, sha256 }
}
