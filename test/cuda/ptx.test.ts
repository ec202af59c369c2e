// What nvcc makes of the product's kernels, run by an interpreter of its PTX and compared with the host form of the same
// kernels. What that proves and what not: docs/cuda.md.
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { buildInterpreter } from './ptx/build.mjs'

let folder: string

beforeAll(async () => {
  folder = await buildInterpreter()
}, 600_000)

const ptxIn = (name: string) => {
  const files = path.join(folder, 'ptx', name)
  return readdirSync(files)
    .filter((file) => file.endsWith('.ptx'))
    .map((file) => path.join(files, file))
}

/** The lines that a program prints, by their first word. */
function printedBy(program: string, ...words: string[]) {
  const text = execFileSync(path.join(folder, program), words, { encoding: 'utf8', maxBuffer: 2 ** 26 })
  const lines = text.split('\n').map((line) => line.split('\t'))
  return (first: string) => lines.filter(([word]) => word === first).map(([, ...rest]) => rest)
}

test('instructions with known results, and what is refused', () => {
  const printed = execFileSync(path.join(folder, 'snippets'), { encoding: 'utf8' })
  expect(printed).toMatch(/^(\d+) right of \1\n$/)
})

// The order is that of broken/main.cpp.
test('what is broken on purpose is found, each with its reason', () => {
  const printed = printedBy('broken', ...ptxIn('broken'))
  expect(printed('finding').flat()).toEqual([
    expect.stringMatching(
      /^WritesOneTooMany, item 256, broken\.ptx:\d+ 'st\.global.*': write of 4 bytes at byte 1028 of y \(1028 bytes\): out of bounds \(address 0x/,
    ),
    expect.stringMatching(
      /^LoadsMisaligned, item 0, .* 'ld\.global\.v4.*': read of 16 bytes at byte 4 of x \(8256 bytes\): misaligned$/,
    ),
    expect.stringMatching(/^ReadsWhatNobodyWrote, item 5, .* read of 4 bytes at byte 20 of x .*: never written$/),
    expect.stringMatching(/^WritesItsInput, item 0, .* write of 4 bytes at byte 0 of x .*: the buffer is an input$/),
    expect.stringMatching(/^ReadsItsNeighbour, item 1, .* of y .*: item 0 writes it in the same launch$/),
    expect.stringMatching(/^DiffersOnTheDevice: element 0 of y: the device's code writes .*, the host form /),
    expect.stringMatching(
      /^FusesWhatIsCalledExact: element \d+ of y: the device's code writes .*, the host form .*: inf units apart, 0 allowed \(exact\)$/,
    ),
  ])
  expect(printed('refused').flat()).toEqual([
    expect.stringMatching(/^unknown\.ptx:\d+: instruction 'popc\.b32 r,r' is not known \(in CountsBits\)$/),
  ])
})

test('every kernel of the product does on the device what it does on the host', () => {
  const files = ptxIn('product')
  const printed = printedBy('kernels', ...files)
  const kernels = printed('kernel').map(([kernel, launches, items, units, instructions, unreached]) => ({
    kernel,
    launches: Number(launches),
    items: Number(items),
    units: Number(units),
    instructions: Number(instructions),
    unreached: Number(unreached),
  }))
  console.table(kernels)
  console.log(`${'times'.padStart(12)} form of an instruction`)
  for (const [form, times] of printed('form')) console.log(`${times?.padStart(12)} ${form}`)
  expect(printed('finding').flat()).toEqual([])
  const entries = files.flatMap((file) => readFileSync(file, 'utf8').match(/^(?:\.\w+ )*\.entry /gm) ?? [])
  expect(kernels.length).toBe(entries.length)
  expect(kernels.filter(({ launches }) => launches === 0).map(({ kernel }) => kernel)).toEqual([])
  // 124 of 23249 on 30 November 2026: ends of loops that no count leads to, logarithms of 0 and of subnormal numbers
  const sum = (values: number[]) => values.reduce((a, b) => a + b, 0)
  const unreached = sum(kernels.map((one) => one.unreached)) / sum(kernels.map(({ instructions }) => instructions))
  expect(unreached, printed('never').join('\n')).toBeLessThan(0.01)
})
