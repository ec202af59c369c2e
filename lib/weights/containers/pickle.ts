import { VggError } from '../../error.js'

// A pickle is a program for a machine with a stack: its opcodes push values, collect them and call functions by name. This
// machine has the opcodes that torch.save writes and calls only what its caller lists; no code of the file is run.
// https://github.com/python/cpython/blob/main/Lib/pickletools.py

/** A function or class that a pickle may call. Its arguments come from the file: arrays for lists and tuples. */
export class PickleFunction {
  readonly call: (parameters: readonly unknown[]) => unknown

  constructor(call: (parameters: readonly unknown[]) => unknown) {
    this.call = call
  }
}

/** What a pickle may refer to. */
export interface PickleRules {
  /** Functions and other values by 'module.name'. */
  readonly names: ReadonlyMap<string, unknown>
  /** The error for another name. */
  refused(name: string): VggError
  /** The value outside of the pickle that has this identifier, which comes from the file. */
  persistent(id: unknown): unknown
}

/** Most opcodes of a pickle, each of which creates at most one object. A tensor takes about 60, VGG-19 has 38. */
const mostOpcodes = 2 ** 18
/** Most bytes of a whole number; PyTorch's magic number has 10. */
const longestInteger = 16

/** The error for a file that torch.save has not written so. */
export const malformed = (message: string, cause?: unknown): VggError =>
  new VggError('FILE_FORMAT', `Not a valid file of PyTorch: ${message}`, { cause })

/** Thrown where the bytes end before the pickle. */
export class PickleEnd extends VggError {
  constructor() {
    const message = 'Not a valid file of PyTorch: its pickle ends too early; is it truncated? Copy or download it again'
    super('FILE_FORMAT', message)
  }
}

/**
 * Reads a pickle: None, booleans, numbers and strings as they are, lists and tuples as arrays, dictionaries as maps, all
 * else by the rules. It allocates at most one small object an opcode, and strings of at most the length of the pickle.
 * @param begin index of the first byte of the pickle in `bytes`
 * @returns the value, and the index of the first byte after the pickle
 * @throws FILE_FORMAT; PickleEnd, if `bytes` end before the pickle
 */
export function readPickle(bytes: Uint8Array, begin: number, rules: PickleRules): { value: unknown; end: number } {
  const machine = new Machine(bytes, begin, rules)
  for (let count = 0; count < mostOpcodes; count++) {
    const opcode = machine.unsigned(1)
    if (opcode === stop) return { value: machine.pop(), end: machine.at }
    const run = byCode[opcode]
    if (run === undefined) {
      const code = opcode.toString(16).padStart(2, '0')
      throw malformed(`its pickle has the opcode 0x${code} at byte ${machine.at - 1}, which torch.save does not write`)
    }
    run(machine)
  }
  throw malformed(`its pickle has more than ${mostOpcodes} opcodes`)
}

const stop = '.'.charCodeAt(0)
const mark = Symbol('mark')

class Machine {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #rules: PickleRules
  readonly #stack: unknown[] = []
  readonly #memo = new Map<number, unknown>()
  /** Index of the next byte. */
  at: number

  constructor(bytes: Uint8Array, begin: number, rules: PickleRules) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    this.#rules = rules
    this.at = begin
  }

  /** Moves on by `length` bytes; the index of the first of them. */
  #skip(length: number): number {
    if (length > this.#bytes.length - this.at) throw new PickleEnd()
    this.at += length
    return this.at - length
  }

  unsigned(length: 1 | 2 | 4 | 8): number {
    const at = this.#skip(length)
    if (length === 1) return this.#view.getUint8(at)
    if (length === 2) return this.#view.getUint16(at, true)
    if (length === 4) return this.#view.getUint32(at, true)
    return Number(this.#view.getBigUint64(at, true))
  }

  signed(): number {
    return this.#view.getInt32(this.#skip(4), true)
  }

  double(): number {
    return this.#view.getFloat64(this.#skip(8))
  }

  /** A whole number of `length` bytes, little endian, in two's complement. */
  integer(length: number): number | bigint {
    if (length > longestInteger) throw malformed(`its pickle has a whole number of ${length} bytes`)
    const at = this.#skip(length)
    let value = 0n
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.#view.getUint8(at + i))
    return simplest(BigInt.asIntN(8 * length, value))
  }

  text(length: number, encoding: 'utf8' | 'latin1' = 'utf8'): string {
    const at = this.#skip(length)
    return Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset + at, length).toString(encoding)
  }

  line(): string {
    const end = this.#bytes.indexOf('\n'.charCodeAt(0), this.at)
    if (end === -1) throw new PickleEnd()
    const line = this.text(end - this.at)
    this.at = end + 1
    return line
  }

  push(value: unknown): void {
    this.#stack.push(value)
  }

  pop(): unknown {
    const value = this.#stack.pop()
    // what the file pushes is never undefined
    if (value === undefined || value === mark) throw malformed('its pickle takes a value that it has not pushed')
    return value
  }

  top(): unknown {
    const value = this.pop()
    this.push(value)
    return value
  }

  /** Takes the last `length` values, in the order in which they were pushed. */
  popTuple(length: number): unknown[] {
    return Array.from({ length }, () => this.pop()).reverse()
  }

  /** Takes the values after the last mark, and the mark. */
  popMark(): unknown[] {
    const at = this.#stack.lastIndexOf(mark)
    if (at === -1) throw malformed('its pickle takes values up to a mark that it has not set')
    return this.#stack.splice(at).slice(1)
  }

  store(index = this.#memo.size): void {
    this.#memo.set(index, this.top())
  }

  recall(index: number): void {
    if (!this.#memo.has(index)) throw malformed(`its pickle recalls the value ${index}, which it has not stored`)
    this.push(this.#memo.get(index))
  }

  name(module: unknown, name: unknown): void {
    // strings only, because the text of nested arrays can be of any length
    if (typeof module !== 'string' || typeof name !== 'string') throw malformed('its pickle has a name that is no text')
    const full = `${module}.${name}`
    if (!this.#rules.names.has(full)) throw this.#rules.refused(full)
    this.push(this.#rules.names.get(full))
  }

  persistent(): void {
    this.push(this.#rules.persistent(this.pop()))
  }

  call(): void {
    const [called, parameters] = this.popTuple(2)
    if (!(called instanceof PickleFunction) || !Array.isArray(parameters)) {
      throw malformed('its pickle calls something that is no function')
    }
    this.push(called.call(parameters))
  }

  append(values: readonly unknown[]): void {
    const list = this.top()
    if (!Array.isArray(list)) throw malformed('its pickle appends to something that is no list')
    for (const value of values) list.push(value)
  }

  set(values: readonly unknown[]): void {
    const map = this.top()
    if (!(map instanceof Map) || values.length % 2 !== 0) {
      throw malformed('its pickle sets items of something that is no dictionary')
    }
    for (let i = 0; i < values.length; i += 2) map.set(values[i], values[i + 1])
  }
}

const simplest = (value: bigint): number | bigint => (Number.isSafeInteger(Number(value)) ? Number(value) : value)

/** A whole number or boolean in decimal digits, as protocol 1 writes them. */
function decimal(line: string): number | bigint | boolean {
  if (line === '00' || line === '01') return line === '01'
  if (!/^-?\d{1,38}L?$/.test(line)) throw malformed('its pickle has a whole number that is no number')
  return simplest(BigInt(line.replace('L', '')))
}

const opcodes: ReadonlyMap<string, (machine: Machine) => unknown> = new Map([
  // protocol and length of a frame
  ['\x80', (it) => it.unsigned(1)],
  ['\x95', (it) => it.unsigned(8)],
  ['(', (it) => it.push(mark)],
  ['N', (it) => it.push(null)],
  ['\x88', (it) => it.push(true)],
  ['\x89', (it) => it.push(false)],
  ['I', (it) => it.push(decimal(it.line()))],
  ['L', (it) => it.push(decimal(it.line()))],
  ['J', (it) => it.push(it.signed())],
  ['K', (it) => it.push(it.unsigned(1))],
  ['M', (it) => it.push(it.unsigned(2))],
  ['\x8a', (it) => it.push(it.integer(it.unsigned(1)))],
  ['G', (it) => it.push(it.double())],
  // strings of Python 2, and of Python 3
  ['U', (it) => it.push(it.text(it.unsigned(1), 'latin1'))],
  ['T', (it) => it.push(it.text(it.unsigned(4), 'latin1'))],
  ['\x8c', (it) => it.push(it.text(it.unsigned(1)))],
  ['X', (it) => it.push(it.text(it.unsigned(4)))],
  ['\x8d', (it) => it.push(it.text(it.unsigned(8)))],
  [']', (it) => it.push([])],
  ['a', (it) => it.append(it.popTuple(1))],
  ['e', (it) => it.append(it.popMark())],
  [')', (it) => it.push([])],
  ['\x85', (it) => it.push(it.popTuple(1))],
  ['\x86', (it) => it.push(it.popTuple(2))],
  ['\x87', (it) => it.push(it.popTuple(3))],
  ['t', (it) => it.push(it.popMark())],
  ['}', (it) => it.push(new Map())],
  ['s', (it) => it.set(it.popTuple(2))],
  ['u', (it) => it.set(it.popMark())],
  ['q', (it) => it.store(it.unsigned(1))],
  ['r', (it) => it.store(it.unsigned(4))],
  ['\x94', (it) => it.store()],
  ['h', (it) => it.recall(it.unsigned(1))],
  ['j', (it) => it.recall(it.unsigned(4))],
  ['c', (it) => it.name(it.line(), it.line())],
  ['\x93', (it) => it.name(...(it.popTuple(2) as [unknown, unknown]))],
  ['Q', (it) => it.persistent()],
  ['R', (it) => it.call()],
  ['\x81', (it) => it.call()],
  // attributes of a dictionary or a tensor, such as versions and hooks: not kept
  ['b', (it) => it.pop()],
])

const byCode = Array.from({ length: 256 }, (_, code) => opcodes.get(String.fromCharCode(code)))
