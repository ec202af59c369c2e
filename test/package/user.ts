import { execFile, execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import { root } from '../setup/command.js'

/** Someone with an empty folder, a Node, a package manager and nothing else: no compiler, no Python, no checkout. */
export interface User {
  readonly folder: string
  run(program: string, ...words: string[]): Promise<{ stdout: string; stderr: string }>
}

const npmSetting = (name: string) =>
  execFileSync('npm', ['config', 'get', name], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  }).trim()

/** Where this machine's npm takes packages from, and where it keeps them. */
function npmEnvironment(): Record<string, string> {
  const names = ['registry', 'cache', 'userconfig', 'globalconfig']
  const settings = names.map((name) => [`npm_config_${name}`, npmSetting(name)])
  return { ...Object.fromEntries(settings), npm_config_update_notifier: 'false', npm_config_prefer_offline: 'true' }
}

const pathOf = (program: string) => execFileSync('sh', ['-c', `command -v ${program}`], { encoding: 'utf8' }).trim()

/**
 * @param folder an empty one, outside any checkout
 * @param programs name to file of what the search path is to hold besides npm, npx and a shell with what every Linux has; `node` at least
 */
export function newUser(folder: string, programs: Readonly<Record<string, string>>): User {
  const [work, bin, home] = ['work', 'bin', 'home'].map((name) => path.join(folder, name))
  for (const position of [work, bin, home]) mkdirSync(position)
  // sed, dirname and uname: pnpm makes commands of shell lines that call them
  const always = ['npm', 'npx', 'sh', 'sed', 'dirname', 'uname'].map((name) => [name, pathOf(name)])
  const found: Record<string, string> = { ...Object.fromEntries(always), ...programs }
  for (const [name, file] of Object.entries(found)) symlinkSync(file, path.join(bin, name))
  writeFileSync(path.join(work, 'package.json'), '{ "name": "consumer", "private": true, "type": "module" }\n')
  copyFileSync(path.join(root, 'test/package/program.ts'), path.join(work, 'program.ts'))
  const env = { PATH: bin, HOME: home, CI: 'true', NO_COLOR: '1', ...npmEnvironment() }
  const run = promisify(execFile)
  return {
    folder: work,
    // the shell finds the program on that path, as it does for a user
    run: (program, ...words) =>
      run('/bin/sh', ['-c', 'exec "$@"', 'sh', program, ...words], { cwd: work, env, maxBuffer: 1 << 26 }),
  }
}

/** Why a package manager got nothing: no network; undefined where it is for another reason. */
export function unreachable(error: unknown): string | undefined {
  const said = error instanceof Error && 'stderr' in error ? `${error.message}\n${error.stderr}` : String(error)
  return /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ENETUNREACH|ETIMEDOUT|ECONNRESET|ENOTCACHED|ERR_SOCKET_TIMEOUT/.exec(
    said,
  )?.[0]
}

const ways = [
  ['node16', 'node16'],
  ['nodenext', 'nodenext'],
  ['esnext', 'bundler'],
]

/** Compiles the user's program in every way of resolving modules, the declarations of vggnet with it, into program.js. */
export async function compileProgram(user: User): Promise<void> {
  const compiler = path.join(root, 'node_modules/typescript/bin/tsc')
  const words = ['--strict', '--types', 'node', '--target', 'es2022', '--lib', 'es2023', 'program.ts']
  for (const [module, moduleResolution] of ways) {
    await user.run('node', compiler, '--module', module, '--moduleResolution', moduleResolution, ...words)
  }
}
