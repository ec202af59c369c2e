import { execFile } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'vitest'
import { root, start } from '../setup/command.js'
import { newFolder } from '../setup/folder.js'
import { casesOf } from './cases.js'
import type { Line, Outcome } from './faults-program.js'

/** Compiles a preloaded library of this folder with the system's g++. @returns its path */
export async function compiled(name: string, folder: string): Promise<string> {
  const library = path.join(folder, `${name}.so`)
  const source = path.join(root, 'test/safety', `${name}.cpp`)
  await promisify(execFile)('g++', ['-std=c++20', '-O1', '-Wall', '-Wextra', '-shared', '-fPIC', '-o', library, source])
  return library
}

/** Runs a program of this folder with a preloaded library. @returns its lines of JSON, and how it ended */
async function preloaded(
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

/** One fault of one work, as VGGNET_FAULT names it: 'train: write 3 EIO'. */
export const [only, fault = ''] = (process.env.VGGNET_FAULT ?? '').split(': ')

/**
 * What the works of a program come to under the faults of a preloaded library: those of each list in a process of its own.
 * @param words words of the program after the number of faults
 */
export async function outcomesOf(
  name: 'faults' | 'allocations',
  lists: readonly (readonly string[])[],
  words: readonly string[],
): Promise<Outcome[]> {
  const folder = newFolder()
  const library = await compiled(name, folder)
  const amount = casesOf({ sample: 50, whole: Number.POSITIVE_INFINITY }) / lists.flat().length
  const each = lists.map(async (works, index) => {
    const own = path.join(folder, String(index))
    mkdirSync(own)
    const chosen = only ? works.filter((work) => work === only) : works
    const all = [String(Math.ceil(amount)), ...words, fault, ...chosen]
    const { lines, code, stderr } = await preloaded(library, `${name}-program.ts`, own, all)
    const last = (lines as Line[]).findLast((line) => 'begins' in line)
    expect({ code }, `${JSON.stringify(last)} ${stderr}`).toEqual({ code: 0 })
    return (lines as Line[]).filter((line): line is Outcome => 'result' in line)
  })
  return (await Promise.all(each)).flat()
}

/** The outcomes in which something is wrong, each with the command that repeats it. */
export const wrongOf = (name: string, outcomes: readonly Outcome[]) =>
  outcomes
    .filter(({ wrong }) => wrong.length > 0)
    .map((outcome) => ({
      ...outcome,
      repeat: `VGGNET_FAULT='${outcome.work}: ${outcome.fault}' npm test -- test/safety/${name}`,
    }))
