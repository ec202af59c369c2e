import { accessSync, constants } from 'node:fs'
import path from 'node:path'
import { run } from './command.mjs'
import { WheelProblem } from './problem.mjs'

/** @type {{ program: string, install: string, names: Record<string, string> }[]} */
const managers = [
  { program: 'apt-get', install: 'sudo apt-get install', names: {} },
  { program: 'dnf', install: 'sudo dnf install', names: { 'g++': 'gcc-c++' } },
  { program: 'zypper', install: 'sudo zypper install', names: { 'g++': 'gcc-c++' } },
  {
    program: 'pacman',
    install: 'sudo pacman -S',
    names: { 'g++': 'gcc', python3: 'python', 'python3-pip': 'python-pip' },
  },
]

/** @param {string} file */
function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/**
 * The paths of a program, in the order of the search path. A name with a slash is a path already.
 * @param {string} program
 */
function pathsOf(program) {
  const folders = program.includes('/') ? ['.'] : (process.env.PATH ?? '').split(path.delimiter)
  return [...new Set(folders.map((folder) => path.resolve(folder, program)))].filter(isExecutable)
}

/** The path of a program, or nothing. @param {string} program */
export const pathOf = (program) => pathsOf(program)[0]

/**
 * The command that installs a package (named as Debian does) with this machine's package manager.
 * @param {string} name
 */
export function installCommand(name) {
  const { install, names } = managers.find(({ program }) => pathOf(program)) ?? managers[0]
  return `${install} ${names[name] ?? name}`
}

/** @param {string} what @param {string} name of the package @param {string} purpose */
export const missingTool = (what, name, purpose) =>
  new WheelProblem(
    'MISSING_TOOL',
    `${what} is missing and is needed to ${purpose}: install it with \`${installCommand(name)}\``,
  )

/**
 * A Python 3 that has pip: the first such on the search path, as a venv before others may have none.
 * @returns {Promise<string>} its path
 * @throws WheelProblem MISSING_TOOL
 */
export async function findPython() {
  let found = false
  for (const python of pathsOf('python3')) {
    if ((await run(python, ['-m', 'pip', '--version'])).ok) return python
    // It is asked, not only looked for: a shim on the path may stand for nothing.
    found ||= (await run(python, ['--version'])).ok
  }
  const [what, name] = found ? ['pip for Python 3', 'python3-pip'] : ['Python 3', 'python3']
  throw missingTool(what, name, 'fetch libraries')
}
