import { describe, expect, test } from 'vitest'
import { VggError } from '../../lib/error.js'
import { printable } from '../../lib/table.js'

describe('printable', () => {
  test.each([
    ['cat/1.jpg', 'cat/1.jpg'],
    ['\x1b[31mred\x1b[0m', '\\x1b[31mred\\x1b[0m'],
    ['two\nlines\r\x07\x9b', 'two\\x0alines\\x0d\\x07\\u009b'],
    ['exe\u202egpj.', 'exe\\u202egpj.'],
    ['one\ud800, \u2028two, del\x7f', 'one\\ud800, \\u2028two, del\\x7f'],
    ['Straße, 猫, 😀', 'Straße, 猫, 😀'],
    ['tab\t', 'tab\\x09'],
  ])('%j', (name, text) => {
    expect(printable(name)).toBe(text)
  })

  test('cuts a long name in its middle, not through a character', () => {
    expect(printable('abcdefghij', 10)).toBe('abcdefghij')
    expect(printable('abcdefghijk', 10)).toBe('abcde…hijk')
    expect(printable('😀'.repeat(8), 5)).toBe('😀😀…😀😀')
  })
})

test('messages of errors have no control characters and are one line, except those of loading', () => {
  const name = 'a\n\x1b]0;title\x07.jpg'
  expect(new VggError('FILE_FORMAT', `No image: ${name}`).message).toBe('No image: a\\x0a\\x1b]0;title\\x07.jpg')
  expect(new VggError('INVALID_ARGUMENT', 'a\nb').message).toBe('a\\x0ab')
  expect(new VggError('NATIVE_LOAD_FAILED', 'Tried:\n\x1b').message).toBe('Tried:\n\\x1b')
})
