import path from 'node:path'
import { run } from './command.mjs'
import { builds, productsOf } from './native.mjs'
import { findCompiler } from './tools.mjs'

/**
 * The environment in which Node runs the debug build. The sanitizer must be the first library of a process, and it looks for
 * the C++ library's functions when it starts, which a Node with its own C++ library does not offer.
 */
export async function sanitizerEnvironment(root) {
  const compiler = await findCompiler()
  const libraries = await Promise.all(
    ['libasan.so', 'libstdc++.so.6'].map((name) => run(compiler, [`-print-file-name=${name}`])),
  )
  return {
    VGGNET_BINARY: productsOf(root, builds.debug)[0],
    LD_PRELOAD: libraries.map(({ stdout }) => path.normalize(stdout.trim())).join(' '),
    // Node itself leaves memory to the end of the process. malloc may fail, as it may elsewhere; `new` still ends the process.
    ASAN_OPTIONS: 'detect_leaks=0:allocator_may_return_null=1',
    UBSAN_OPTIONS: 'print_stacktrace=1',
  }
}
