import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { encodeWithChecksums } from '../../lib/checkpoint/checksum.js'
import { readList, readRunLog } from '../../lib/index.js'
import { RunLog } from '../../lib/report/run-log.js'
import { parsedJson } from '../../lib/untrusted.js'
import { newFolder } from '../setup/folder.js'

const limits = { bytes: 1000, depth: 3, values: 10, keys: 4 }
const both = (text: string) => [text, Buffer.from(text)]

describe('JSON of a file', () => {
  test.each<[string, unknown]>([
    ['{"a":{"b":[1]}}', { a: { b: [1] } }],
    [' [1,2,3,4,5,6,7,8,9]', [1, 2, 3, 4, 5, 6, 7, 8, 9]],
    ['"[[[[,,,,,,,,,,,,\\"{{{{\\\\"', '[[[[,,,,,,,,,,,,"{{{{\\'],
    ['["ä\u2028",null]', ['ä\u2028', null]],
    ['{"a":":","b":{"c:":0},"d":0}', { a: ':', b: { 'c:': 0 }, d: 0 }],
  ])('within its limits is parsed: %s', (text, value) => {
    for (const given of both(text)) expect(parsedJson(given, limits)).toEqual(value)
  })

  test.each([
    ['[[[[1]]]]', 'it is nested more than 3 deep'],
    ['[[[['.repeat(200), 'it is nested more than 3 deep'],
    ['[{},{},{},{},{},{}]', 'it has more than 10 values'],
    [`[${'0,'.repeat(10)}0]`, 'it has more than 10 values'],
    ['{"a":0,"b":{"c":"::","d":0}}{"a":0', 'it has more than 4 keys'],
    [`"${'x'.repeat(999)}"`, 'it has 1001 bytes; at most 1000 are read'],
    ['"abc', 'it is not JSON: '],
    ['"abc\\', 'it is not JSON: '],
    ['', 'it is not JSON: '],
  ])('beyond them is refused: %s', (text, message) => {
    const refused = expect.objectContaining({ code: 'FILE_FORMAT', message: expect.stringContaining(message) })
    for (const given of both(text)) expect(() => parsedJson(given, limits)).toThrow(refused)
  })

  test('that is not UTF-8 is refused', () => {
    expect(() => parsedJson(Uint8Array.of(0x22, 0xff, 0x22), limits, 'run.json')).toThrow(/^run.json is not JSON: /)
  })
})

test('a log of many damaged lines is refused', async () => {
  const file = path.join(newFolder(), 'log.jsonl')
  writeFileSync(file, '1\n'.repeat(1001))
  await expect(readRunLog(file)).rejects.toMatchObject({
    code: 'FILE_FORMAT',
    message: `${file}: Expected the log of a run with at most 1000 damaged lines, but it has more`,
  })
})

test('a run whose log cannot be read begins a new one, and keeps the old one', async () => {
  const file = path.join(newFolder(), 'log.jsonl')
  const damaged = '1\n'.repeat(1001)
  writeFileSync(file, damaged)
  const log = await RunLog.open(file, { from: { step: 3, epochs: 0 } })
  log.close()
  expect(log.notice).toBe(
    `the log begins again: ${file}: Expected the log of a run with at most 1000 damaged lines, but it has more; the original is kept as ${file}.left`,
  )
  expect(readFileSync(`${file}.left`, 'utf8')).toBe(damaged)
  expect(readFileSync(file, 'utf8')).toBe('')
})

test('a header that could not be read again is not written', async () => {
  const long = { model: 'x'.repeat(2 ** 25) }
  await expect(encodeWithChecksums([], new Map(), long)).rejects.toMatchObject({
    code: 'FILE_WRITE',
    message: expect.stringMatching(
      /^Expected a header of at most 33554432 bytes but it takes \d+: use fewer or shorter names/,
    ),
  })
})

test.each([
  [
    'model',
    `[${'0,'.repeat(2 ** 20)}0]`,
    "a text 'model' in the header that can be read but it has more than 1048576 values",
  ],
  [
    'training',
    `{${'"a":0,'.repeat(2 ** 16)}"a":0}`,
    "a text 'training' in the header that can be read but it has more than 65536 keys",
  ],
])('a text of the header that could not be read again is not written: %s', async (name, text, message) => {
  await expect(encodeWithChecksums([], new Map(), { [name]: text })).rejects.toMatchObject({
    code: 'FILE_WRITE',
    message: expect.stringContaining(message),
  })
})

test('a header of more tensors than are read is not written', async () => {
  const tensors = Array.from({ length: 2 ** 14 + 1 }, (_, index) => ({
    name: `${index}`,
    dtype: 'F32' as const,
    shape: [0],
  }))
  const data = new Map(tensors.map(({ name }) => [name, new Float32Array()]))
  await expect(encodeWithChecksums(tensors, data, {})).rejects.toMatchObject({
    code: 'FILE_WRITE',
    message: expect.stringContaining('Expected a header that can be read but it has more than 65536 keys'),
  })
})

test.each([
  ['lines', 'a,b\n'.repeat(2 ** 22 + 1), /Expected a list of at most 4194304 lines for .* but it has more/],
  ['fields', ','.repeat(1001), /line 1: Expected at most 1000 fields but it has more/],
])('a list of too many %s is refused', async (_, content, message) => {
  const file = path.join(newFolder(), 'list.csv')
  writeFileSync(file, content)
  await expect(readList(file)).rejects.toMatchObject({ code: 'FILE_FORMAT', message: expect.stringMatching(message) })
})
