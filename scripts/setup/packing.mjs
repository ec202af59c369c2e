// `npm pack --ignore-scripts` would pack whatever lies here, old or half. npm reads an .npmignore in each folder that it packs,
// and ends where it cannot: npm-pack-needs-its-scripts/.npmignore is a link to .packing, which only `prepare` and `prepack`
// make, after the package's files were found to be current; and .packing is a link into /proc that ends with npm's own process.
import { readFileSync, readlinkSync, rmSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import { SetupProblem } from './problem.mjs'

const permissionOf = (root) => path.join(root, '.packing')

function parentOf(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // `4711 (name) S 4710 ...`: the name may hold blanks and brackets.
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
}

// npm starts a shell, and that this process; npm, pnpm and yarn are run by Node.
function packageManager() {
  let pid = process.ppid
  while (pid > 1 && !path.basename(readlinkSync(`/proc/${pid}/exe`)).startsWith('node')) pid = parentOf(pid)
  if (pid > 1) return pid
  throw new SetupProblem('BUILD_FAILED', 'Expected `npm pack` to be what asks for packing, but found no Node above')
}

/** Lets the package manager that runs this script pack, until it ends. */
export function allowPacking(root) {
  symlinkSync(`/proc/${packageManager()}/comm`, permissionOf(root))
}

export function forbidPacking(root) {
  rmSync(permissionOf(root), { force: true })
}
