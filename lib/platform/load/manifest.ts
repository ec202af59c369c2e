import { createHash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { isObject } from '../../options.js'

/** File name of the CUDA library. Its suffix is not .node, because the loader of binaries would mistake it for the addon. */
export const cudaLibraryName = 'libvggnet_cuda.so'

export const manifestName = 'manifest.json'

/** The package's description of its own binaries, which scripts/setup/prebuild.mjs writes. */
export interface Manifest {
  readonly version: string
  readonly buildId: string
  /** The newest symbol versions that the binaries need: { GLIBC: '2.34' }. */
  readonly needs: Readonly<Record<string, string>>
  readonly files: Readonly<Record<string, { readonly bytes: number; readonly sha256: string }>>
}

/** Returns the manifest in the folder of a binary; undefined if the binary is not a package's own. @throws SyntaxError */
export function manifestOf(binary: string): Manifest | undefined {
  let text: string
  try {
    text = readFileSync(path.join(path.dirname(binary), manifestName), 'utf8')
  } catch {
    return undefined
  }
  const manifest: unknown = JSON.parse(text)
  // a file of that name may belong to another program
  if (!isObject(manifest) || !isObject(manifest.files)) return undefined
  return Object.hasOwn(manifest.files, path.basename(binary)) ? (manifest as unknown as Manifest) : undefined
}

/** Returns the files that are loaded with the addon. The CUDA library is loaded only on request. */
export const addonFiles = ({ files }: Manifest): string[] =>
  Object.keys(files).filter((name) => name !== cudaLibraryName)

/** How a file differs from the manifest. */
export interface FileFault {
  readonly name: string
  readonly kind: 'missing' | 'size' | 'content'
  /** The difference in words, without the name of the file. */
  readonly text: string
}

/** Compares a file's existence and size with the manifest, which is fast. */
export function sizeFault(folder: string, name: string, { files }: Manifest): FileFault | undefined {
  const wanted = files[name]?.bytes
  const found = statSync(path.join(folder, name), { throwIfNoEntry: false })?.size
  if (found === wanted) return undefined
  if (found === undefined) return { name, kind: 'missing', text: `is missing from ${folder}` }
  return { name, kind: 'size', text: `has ${found} bytes instead of ${wanted}` }
}

/** Compares a file's existence, size and SHA-256 with the manifest; takes half a second per GB. */
export function fileFault(folder: string, name: string, manifest: Manifest): FileFault | undefined {
  const fault = sizeFault(folder, name, manifest)
  if (fault) return fault
  const wanted = manifest.files[name]?.sha256
  const found = createHash('sha256')
    .update(readFileSync(path.join(folder, name)))
    .digest('hex')
  if (found === wanted) return undefined
  const [is, made] = [found.slice(0, 16), wanted?.slice(0, 16)]
  return { name, kind: 'content', text: `differs from the file that was packed (sha256 ${is}, not ${made})` }
}
