import { createHash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { isObject } from '../../options.js'

/** The CUDA library; without the suffix .node: the loader of binaries would take it for the addon. */
export const cudaLibraryName = 'libvggnet_cuda.so'

export const manifestName = 'manifest.json'

/** What the package says about its own binaries, as scripts/setup/prebuild.mjs writes it. */
export interface Manifest {
  readonly version: string
  readonly buildId: string
  /** The newest symbol version that any of them needs: { GLIBC: '2.34' }. */
  readonly needs: Readonly<Record<string, string>>
  readonly files: Readonly<Record<string, { readonly bytes: number; readonly sha256: string }>>
}

/** The manifest that a binary lies beside; undefined where it is none of a package's own. @throws what JSON.parse throws */
export function manifestOf(binary: string): Manifest | undefined {
  let text: string
  try {
    text = readFileSync(path.join(path.dirname(binary), manifestName), 'utf8')
  } catch {
    return undefined
  }
  const manifest: unknown = JSON.parse(text)
  // a file of that name may be another program's
  if (!isObject(manifest) || !isObject(manifest.files)) return undefined
  return Object.hasOwn(manifest.files, path.basename(binary)) ? (manifest as unknown as Manifest) : undefined
}

/** The files of a manifest that the addon is loaded with; the CUDA library is loaded when it is asked for. */
export const addonFiles = ({ files }: Manifest): string[] =>
  Object.keys(files).filter((name) => name !== cudaLibraryName)

/** As a package manager unpacked it, or not. */
export interface FileFault {
  readonly name: string
  readonly kind: 'missing' | 'size' | 'content'
  /** In words, without its name. */
  readonly text: string
}

/** What is wrong with a file's presence and size, which costs next to nothing to know. */
export function sizeFault(folder: string, name: string, { files }: Manifest): FileFault | undefined {
  const wanted = files[name]?.bytes
  const found = statSync(path.join(folder, name), { throwIfNoEntry: false })?.size
  if (found === wanted) return undefined
  if (found === undefined) return { name, kind: 'missing', text: `is missing from ${folder}` }
  return { name, kind: 'size', text: `has ${found} bytes instead of ${wanted}` }
}

/** As `sizeFault`, and by content: half a second for each GB. */
export function fileFault(folder: string, name: string, manifest: Manifest): FileFault | undefined {
  const fault = sizeFault(folder, name, manifest)
  if (fault) return fault
  const wanted = manifest.files[name]?.sha256
  const found = createHash('sha256')
    .update(readFileSync(path.join(folder, name)))
    .digest('hex')
  if (found === wanted) return undefined
  const [is, made] = [found.slice(0, 16), wanted?.slice(0, 16)]
  return { name, kind: 'content', text: `has other content than the package was made with (sha256 ${is}, not ${made})` }
}
