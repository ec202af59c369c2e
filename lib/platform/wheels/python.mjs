import { spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import path from 'node:path'
import { WheelProblem } from './problem.mjs'

/**
 * Runs a program without a shell and without stdin.
 * @param {string} program
 * @param {readonly string[]} parameters
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, signal?: AbortSignal }} [options] `env`: variables in addition to the process's
 * @returns {Promise<{ ok: boolean, output: string, stdout: string }>} `output`: stdout and stderr in the order of arrival
 */
export function run(program, parameters, { cwd, env, signal } = {}) {
  return new Promise((resolve) => {
    const child = spawn(program, parameters, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      signal,
    })
    let output = ''
    let stdout = ''
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text
      stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text) => {
      output += text
    })
    child.on('error', (error) => resolve({ ok: false, output: output + error.message, stdout }))
    child.on('close', (status) => resolve({ ok: status === 0, output, stdout }))
  })
}

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
 * Lists the paths of a program, in the order of the search path. A name with a slash is a path already. Relative and empty entries
 * of the search path are skipped, because files in the working folder must not be executed.
 * @param {string} program
 */
function pathsOf(program) {
  const searched = (process.env.PATH ?? '').split(path.delimiter).filter((folder) => path.isAbsolute(folder))
  const folders = program.includes('/') ? ['.'] : searched
  return [...new Set(folders.map((folder) => path.resolve(folder, program)))].filter(isExecutable)
}

/** Returns the path of a program, or undefined. @param {string} program */
export const pathOf = (program) => pathsOf(program)[0]

/**
 * Returns the command that installs a package, given by its Debian name, with this machine's package manager.
 * @param {string} name
 */
export function installCommand(name) {
  const { install, names } = managers.find(({ program }) => pathOf(program)) ?? managers[0]
  return `${install} ${names[name] ?? name}`
}

/** @param {string} what @param {string} name Debian name of the package @param {string} purpose */
export const missingTool = (what, name, purpose) =>
  new WheelProblem(
    'MISSING_TOOL',
    `${what} is missing and is needed to ${purpose}: install it with \`${installCommand(name)}\``,
  )

/**
 * Returns the arguments and the folder with which Python executes only its own code and that of its packages: isolated (`-I` ignores
 * the working folder, the packages in the user's home and all PYTHON* variables), and in the root folder. Paths must be absolute.
 * @param {readonly string[]} words
 */
export const isolated = (words) => ({ words: ['-I', ...words], cwd: '/' })

/**
 * Runs an isolated Python; see `run`.
 * @param {string} python
 * @param {readonly string[]} parameters
 * @param {{ env?: NodeJS.ProcessEnv, signal?: AbortSignal }} [options]
 */
export function runPython(python, parameters, options) {
  const { words, cwd } = isolated(parameters)
  return run(python, words, { ...options, cwd })
}

/**
 * Arguments with which Python prints the folders of its packages: those of PYTHONPATH, the user's and its own. An isolated Python
 * does not search the first two, but prints them; no code in them is executed.
 */
export const listingSites = isolated([
  '-c',
  `
import os, site, sys
own = sys.prefix == sys.base_prefix and "PYTHONNOUSERSITE" not in os.environ
sites = [*os.environ.get("PYTHONPATH", "").split(":"), *([site.getusersitepackages()] if own else []), *sys.path]
print("\\n".join(filter(os.path.isabs, sites)))`,
])

/**
 * Finds a Python 3 with pip: the first on the search path that has pip, because a venv may lack it.
 * @returns {Promise<string>} its path
 * @throws WheelProblem MISSING_TOOL
 */
export async function findPython() {
  let found = false
  for (const python of pathsOf('python3')) {
    if ((await runPython(python, ['-m', 'pip', '--version'])).ok) return python
    // A shim on the search path may exist without a Python, so it is run.
    found ||= (await runPython(python, ['--version'])).ok
  }
  const [what, name] = found ? ['pip for Python 3', 'python3-pip'] : ['Python 3', 'python3']
  throw missingTool(what, name, 'fetch libraries')
}
