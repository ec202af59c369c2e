import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { root } from '../setup/command.js'

/** Two blocks of 256 threads fit on a multiprocessor of 65,536 registers. */
const mostRegisters = 128

interface Usage {
  architecture: string
  kernel: string
  registers: number
  /** Bytes. */
  stack: number
  spilled: number
}

const kernelFiles = readdirSync(path.join(root, 'native/backend/cuda/kernels')).filter((name) => name.endsWith('.cu'))
const reports = kernelFiles.map((name) => ({
  name,
  file: path.join(root, 'build-cuda/CMakeFiles/vggnet_cuda.dir/kernels', `${name}.o.ptxas`),
}))
const usages = reports
  .filter(({ file }) => existsSync(file))
  .flatMap(({ file }) => usagesIn(readFileSync(file, 'utf8')))
const architectures = [...new Set(usages.map(({ architecture }) => architecture))]

// What ptxas -v says of each kernel on each architecture: its name, then its stack and spills, then its registers.
function usagesIn(report: string): Usage[] {
  const pattern =
    /Compiling entry function '(\w+)' for '(sm_\w+)'[\s\S]*?(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads[\s\S]*?Used (\d+) registers/g
  return [...report.matchAll(pattern)].map(([, kernel, architecture, stack, stores, loads, registers]) => ({
    architecture,
    kernel,
    registers: Number(registers),
    stack: Number(stack),
    spilled: Number(stores) + Number(loads),
  }))
}

function described({ architecture, kernel, registers, stack, spilled }: Usage): string {
  const name = execFileSync('c++filt', [kernel], { encoding: 'utf8' })
    .trim()
    .replaceAll(/vggnet::cuda::|\(anonymous namespace\)::/g, '')
    .replace(/^void run_items<(.*)>\(.*$/, '$1')
  return `${architecture} ${name}: ${registers} registers, ${stack} bytes of stack, ${spilled} bytes spilled`
}

test('every file of kernels has been compiled with a report', () => {
  expect(reports.filter(({ file }) => !existsSync(file)).map(({ name }) => name)).toEqual([])
  expect(usages.length).toBeGreaterThanOrEqual(architectures.length * kernelFiles.length)
})

test.skipIf(process.env.VGGNET_CUDA_ARCHITECTURES)('the everyday build is for sm_80 and sm_90', () => {
  expect(architectures.sort()).toEqual(['sm_80', 'sm_90'])
})

describe.each(architectures)('on %s', (architecture) => {
  const here = usages.filter((usage) => usage.architecture === architecture)

  test(`no kernel takes more than ${mostRegisters} registers`, () => {
    const worst = here.toSorted((a, b) => b.registers - a.registers)
    console.log(
      `${here.length} kernels; the three with the most registers:\n  ${worst.slice(0, 3).map(described).join('\n  ')}`,
    )
    expect(worst.filter(({ registers }) => registers > mostRegisters).map(described)).toEqual([])
  })

  test('no kernel has a stack or spills registers', () => {
    expect(here.filter(({ stack, spilled }) => stack + spilled > 0).map(described)).toEqual([])
  })
})
