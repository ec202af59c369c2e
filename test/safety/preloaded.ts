import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import { root, start } from '../setup/command.js'

/** Compiles a preloaded library of this folder with the system's g++. @returns its path */
export async function compiled(name: string, folder: string): Promise<string> {
  const library = path.join(folder, `${name}.so`)
  const source = path.join(root, 'test/safety', `${name}.cpp`)
  await promisify(execFile)('g++', ['-std=c++20', '-O1', '-Wall', '-Wextra', '-shared', '-fPIC', '-o', library, source])
  return library
}

/** Runs a program of this folder with a preloaded library. @returns its lines of JSON, and how it ended */
export async function preloaded(
  library: string,
  program: string,
  folder: string,
  words: readonly string[],
): Promise<{ lines: unknown[]; code: number | undefined; stderr: string }> {
  const control = path.join(folder, 'control')
  // idle
  writeFileSync(
    control,
    Int32Array.from({ length: 1024 }, (_, index) => (index === 0 ? -2 : 0)),
  )
  const environment = {
    LD_PRELOAD: library,
    VGGNET_FAULTS: control,
    VGGNET_FAULTY_FOLDER: path.join(folder, 'now'),
    // its calls do not pass through the C library
    UV_USE_IO_URING: '0',
    // each network of a test makes its primitives again
    ONEDNN_PRIMITIVE_CACHE_CAPACITY: '0',
  }
  const { code, stdout, stderr } = await start(`test/safety/${program}`, [folder, ...words], environment).ended
  return {
    lines: stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line)),
    code,
    stderr,
  }
}
