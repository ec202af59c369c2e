import { execFileSync } from 'node:child_process'

export interface Hardening {
  /** Addresses of other libraries are resolved at loading, and read-only from then on. */
  readonly bindNow: boolean
  readonly readOnlyRelocations: boolean
  /** Functions check that their return address was not overwritten. */
  readonly stackProtector: boolean
}

/** What the dynamic loader reads of a library. */
export interface Binary {
  /** Names of the libraries that it needs. */
  readonly needed: readonly string[]
  /** Where it has them looked for. */
  readonly runPaths: readonly string[]
  readonly sections: readonly string[]
  readonly executableStack: boolean
  /** What its build has done against overwritten memory. */
  readonly hardening: Hardening
  /** Absolute paths of source files. */
  readonly sourcePaths: readonly string[]
}

const textOf = (program: string, words: readonly string[]) =>
  execFileSync(program, words, { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' }, maxBuffer: 1 << 28 })

const all = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([, found]) => found)

/** Reads a library with readelf and strings. */
export function binary(file: string): Binary {
  const dynamic = textOf('readelf', ['-W', '--dynamic', file])
  const segments = textOf('readelf', ['-W', '--segments', file])
  const imported = all(textOf('readelf', ['-W', '--dyn-syms', file]), / UND (\w+)/g)
  return {
    needed: all(dynamic, /\(NEEDED\)\s+Shared library: \[(.*)\]/g),
    runPaths: all(dynamic, /\((?:RPATH|RUNPATH)\)\s+Library r(?:un)?path: \[(.*)\]/g),
    sections: all(textOf('readelf', ['-W', '--sections', file]), /^\s+\[ *\d+\] (\S+)/gm),
    executableStack: /GNU_STACK .* RWE/.test(segments),
    hardening: {
      bindNow: /\((?:FLAGS|FLAGS_1)\)\s.*\b(?:BIND_)?NOW\b/.test(dynamic),
      readOnlyRelocations: /GNU_RELRO /.test(segments),
      stackProtector: imported.includes('__stack_chk_fail'),
    },
    sourcePaths: all(textOf('strings', ['-a', file]), /^(\/[\w./+-]+\.(?:c|cc|cpp|cu|h|hpp|asm|s))$/gm),
  }
}
