import { execFile } from 'node:child_process'
import { cpSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import { cacheFolder } from '../../lib/platform/wheels/cache.mjs'
import { writeFiles } from './folder.js'

/** The source of an addon of a few lines, with all the libraries of the real one; it answers `answer`. */
export const addon = (answer: string) => `
#include <napi.h>
#include <oneapi/dnnl/dnnl.h>
#include <omp.h>
extern "C" void* tj3Init(int);
static Napi::Object start(Napi::Env, Napi::Object exports) {
  exports.Set("answer", ${answer});
  exports.Set("buildId", VGGNET_BUILD_ID);
  exports.Set("oneDnn", dnnl_version()->minor);
  exports.Set("jpeg", tj3Init(1) != nullptr);
  exports.Set("threads", omp_get_max_threads());
  return exports;
}
NODE_API_MODULE(vggnet, start)
`

const copied = [
  'scripts',
  'lib/platform/wheels',
  'native/group/shim',
  'CMakeLists.txt',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'tsconfig.build.json',
]

/** The real scripts and the real CMakeLists.txt, around an addon and a library of a few lines. */
export function fillCheckout(root: string): void {
  for (const name of copied) cpSync(name, path.join(root, name), { recursive: true })
  symlinkSync(path.resolve('node_modules'), path.join(root, 'node_modules'))
  writeFiles(root, { 'native/addon.cpp': addon('1'), 'lib/index.ts': 'export const answer: number = 1\n' })
}

/** `node scripts/setup.mjs` there, with these parts. */
export async function setUp(
  root: string,
  ...parts: string[]
): Promise<{ ok: boolean; stdout: string; stderr: string }> {
  const run = promisify(execFile)(process.execPath, [path.join(root, 'scripts/setup.mjs'), ...parts], {
    // CI: with any compiler, warnings are errors.
    env: { ...process.env, CI: 'true', VGGNET_CACHE: cacheFolder() },
  })
  return run.then(
    (out) => ({ ok: true, ...out }),
    ({ stdout, stderr }) => ({ ok: false, stdout, stderr }),
  )
}
