import { execFile } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { newFolder, writeFiles } from '../setup/folder.js'

// The real scripts, CMakeLists.txt and libraries, around a library of a few lines.
const library = (answer: string) => `
#include <cublasLt.h>
#include <cudnn.h>
int launch();
extern "C" __attribute__((visibility("default"))) const char* vggnet_cuda() { return VGGNET_BUILD_ID; }
int answer() { return ${answer} + launch() + static_cast<int>(cudnnGetVersion() + cublasLtGetVersion()); }
`
const kernel = `
__global__ void fill(int* values) { values[threadIdx.x] = blockDim.x; }
int launch() { fill<<<1, 32>>>(nullptr); return cudaGetLastError(); }
`
const own = ['CMakeLists.txt', 'exports.map', 'ptxas_report.sh']
let root: string

// One checkout for all: CMake takes half a minute to try out nvcc in a new folder.
beforeAll(() => {
  root = mkdtempSync(path.join(tmpdir(), 'vggnet-test-'))
  const copied = ['scripts', 'lib/platform/wheels', 'CMakeLists.txt', 'package.json', 'package-lock.json']
  for (const name of [...copied, ...own.map((file) => `native/backend/cuda/${file}`)])
    cpSync(name, path.join(root, name), { recursive: true })
  symlinkSync(path.resolve('node_modules'), path.join(root, 'node_modules'))
  writeFiles(root, {
    'native/backend/cuda/library.cpp': library('1'),
    'native/backend/cuda/kernels/fill.cu': kernel,
    'native/layer/shape.cpp': 'int shape() { return 2; }\n',
  })
})

afterAll(() => rmSync(root, { recursive: true, force: true }))

const binary = () => path.join(root, 'build-cuda/Release/libvggnet_cuda.so')

async function setup(environment: NodeJS.ProcessEnv = {}): Promise<{ ok: boolean; stderr: string }> {
  const env = { ...process.env, CI: 'true', VGGNET_CUDA_ARCHITECTURES: '90-real', ...environment }
  const run = promisify(execFile)(process.execPath, [path.join(root, 'scripts/setup.mjs'), 'cuda'], { env })
  return run.then(
    ({ stderr }) => ({ ok: true, stderr }),
    ({ stderr }) => ({ ok: false, stderr }),
  )
}

const built = { ok: true, stderr: expect.stringMatching(/^setup: CUDA library .* done in \d+ s\n$/) }

test('the CUDA build is made once, and made again for a changed source or other architectures', async () => {
  expect(await setup()).toEqual(built)
  const first = statSync(binary()).mtimeMs
  expect(await setup()).toEqual({ ok: true, stderr: '' })
  expect(statSync(binary()).mtimeMs).toBe(first)

  writeFiles(root, { 'native/backend/cuda/library.cpp': library('wrong') })
  const failed = await setup()
  expect(failed.ok).toBe(false)
  expect(failed.stderr).toMatch(/wrong.* was not declared[\s\S]*its output is above \[BUILD_FAILED\]\n$/)

  writeFiles(root, { 'native/backend/cuda/library.cpp': library('2') })
  expect(await setup()).toEqual(built)
  const report = path.join(root, 'build-cuda/CMakeFiles/vggnet_cuda.dir/kernels/fill.cu.o.ptxas')
  expect(readFileSync(report, 'utf8')).toMatch(/for 'sm_90'[\s\S]*0 bytes stack frame[\s\S]*Used \d+ registers/)
  expect(await setup({ VGGNET_CUDA_ARCHITECTURES: '80-real' })).toEqual(built)
  expect(readFileSync(report, 'utf8')).toMatch(/for 'sm_80'/)
})

test('a warning of either compiler, and an undefined symbol, fail the build', async () => {
  rmSync(binary(), { force: true })
  writeFiles(root, {
    'native/backend/cuda/kernels/warning.cu': '__global__ void fill(int* to) { int unused; to[0] = 1; }\n',
  })
  expect((await setup()).stderr).toMatch(/variable "unused" was declared but never referenced/)
  writeFiles(root, {
    'native/backend/cuda/kernels/warning.cu': '',
    'native/backend/cuda/warning.cpp': 'static int never_called() { return 1; }\n',
  })
  expect((await setup()).stderr).toMatch(/never_called.*-Werror=unused-function/)
  writeFiles(root, { 'native/backend/cuda/warning.cpp': 'int nowhere();\nint somewhere() { return nowhere(); }\n' })
  expect((await setup()).stderr).toMatch(/undefined reference to `nowhere\(\)'/)
  expect(existsSync(binary())).toBe(false)
})

test('an nvcc that is too old is refused before anything is fetched or built', async () => {
  const tools = newFolder()
  writeFiles(tools, { 'bin/nvcc': '#!/bin/sh\necho release 12.8, V12.8.93\n', 'bin/python3': '#!/bin/sh\nexit 1\n' })
  for (const name of ['nvcc', 'python3']) chmodSync(path.join(tools, 'bin', name), 0o755)
  // This machine may have a toolkit where one usually lies.
  const source = readFileSync(path.join(root, 'scripts/setup/tools.mjs'), 'utf8')
  writeFiles(root, { 'scripts/setup/tools.mjs': source.replace("'/usr/local/cuda'", "'/nowhere'") })
  const { ok, stderr } = await setup({ PATH: path.join(tools, 'bin'), CUDA_HOME: '', VGGNET_CUDA_LIBRARIES: '' })
  expect(ok).toBe(false)
  expect(stderr).toMatch(
    /^setup: Expected nvcc 13\.0 or later but received 12\.8 \(.*\): install .* \[MISSING_TOOL\]\n$/,
  )
})
