import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'

// Files that editors and Python leave in the source folders are not sources.
const isSource = (name) => !name.startsWith('.') && !name.endsWith('~') && name !== '__pycache__'

function filesUnder(file) {
  if (!existsSync(file)) return []
  if (!statSync(file).isDirectory()) return [file]
  return readdirSync(file)
    .filter(isSource)
    .sort()
    .flatMap((name) => filesUnder(path.join(file, name)))
}

/** SHA-256 over names and contents of all files under `sources` (files or folders, relative to `root`), in hex. */
export function hashOf(root, sources) {
  const hash = createHash('sha256')
  for (const source of sources) {
    for (const file of filesUnder(path.join(root, source))) {
      const content = readFileSync(file)
      hash.update(`${path.relative(root, file)}\0${content.length}\0`).update(content)
    }
  }
  return hash.digest('hex')
}

// Size and time of each product belong to the stamp: a product built by other means is not the one that was stamped.
function stampOf(hash, products) {
  const lines = products.map((product) => {
    const { size, mtimeMs } = statSync(product)
    return `${path.basename(product)} ${size} ${mtimeMs}`
  })
  return `${[hash, ...lines].join('\n')}\n`
}

/** Whether `products` exist and are those that were stamped with this hash of their sources. */
export function isCurrent(stampFile, hash, products) {
  return (
    [stampFile, ...products].every((file) => existsSync(file)) &&
    readFileSync(stampFile, 'utf8') === stampOf(hash, products)
  )
}

/** Whether the stamp file holds this hash and no products. */
export const stampHolds = (stampFile, hash) => isCurrent(stampFile, hash, [])

/** Returns the hash of the sources of `products`, or undefined if they are not the stamped ones. */
export function stampedHash(stampFile, products) {
  if (!existsSync(stampFile)) return undefined
  const [hash] = readFileSync(stampFile, 'utf8').split('\n')
  return isCurrent(stampFile, hash, products) ? hash : undefined
}

/** Writes the stamp of a successful build. */
export function writeStamp(stampFile, hash, products) {
  writeFileSync(stampFile, stampOf(hash, products))
}

export function removeStamp(stampFile) {
  rmSync(stampFile, { force: true })
}
