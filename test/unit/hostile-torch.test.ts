import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { deflateRawSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { VggError } from '../../lib/error.js'
import { openWeightFile } from '../../lib/weights/containers/containers.js'
import { dictionary, op, stream, tensor, torchZip, zip } from '../setup/pickled.js'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'vggnet-torch-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

/** Opens a file of these bytes and reads all of its tensors, of at most as many elements as it has bytes. */
async function read(bytes: Uint8Array): Promise<Record<string, number[]>> {
  const file = path.join(folder, 'weights.pth')
  writeFileSync(file, bytes)
  const opened = await openWeightFile(file)
  try {
    const values: Record<string, number[]> = {}
    for (const foreign of opened.tensors) {
      const count = foreign.shape.reduce((product, length) => product * length, 1)
      expect(count).toBeLessThanOrEqual(bytes.length)
      const into = new Float32Array(count)
      await opened.read(foreign, into, 0)
      values[foreign.name] = [...into]
    }
    return values
  } finally {
    await opened.close()
  }
}

const marker = path.join(tmpdir(), `vggnet-was-run-${process.pid}`)
const call = (module: string, name: string, argument: string): Buffer =>
  Buffer.concat([op.name(module, name), op.mark, op.text(argument), op.tuple, op.call])

const four = { 0: [1, 2, 3, 4] }
const data = Buffer.from(Float32Array.from([1, 2, 3, 4]).buffer)
const whole = { name: 'archive/data/0', data }
const one = dictionary({ w: tensor({}) })

describe('a file of torch.save', () => {
  it('put together here is read, in both forms', async () => {
    expect(await read(stream(one, four))).toEqual({ w: [1, 2, 3, 4] })
    expect(await read(torchZip(one, [whole]))).toEqual({ w: [1, 2, 3, 4] })
    const view = dictionary({ w: tensor({ offset: 1, shape: [2, 2], strides: [1, 1] }) })
    expect(await read(stream(view, four))).toEqual({ w: [2, 3, 3, 4] })
    const part = [op.mark, op.text('1'), op.integer(2), op.integer(2), op.tuple]
    expect(await read(stream(dictionary({ w: tensor({ shape: [2] }, part) }), four))).toEqual({ w: [3, 4] })
  })

  const refused: [string, Uint8Array, RegExp][] = [
    ['os.system', stream(call('os', 'system', `touch ${marker}`)), /names os\.system, .* was not run.*state_dict\(\)/],
    ['posix.system', stream(call('posix', 'system', `touch ${marker}`)), /names posix\.system/],
    ['builtins.eval', stream(call('builtins', 'eval', `open('${marker}', 'w')`)), /names builtins\.eval/],
    ['a method of a class', stream(call('torch', 'FloatStorage.from_file', marker)), /FloatStorage\.from_file/],
    ['a property of all objects', stream(call('collections', '__proto__', marker)), /collections\.__proto__/],
    ['a name of a million letters', stream(op.name('os', 'x'.repeat(2 ** 20))), /names os\.x{57}\.\.\., /],
    ['a pickled model', stream(op.name('torchvision.models.vgg', 'VGG')), /whole pickled model.*torch\.save\(model/],
    ['TorchScript', torchZip(op.name('__torch__.vgg', 'VGG'), []), /whole pickled model.*torch\.save\(model/],
    ['a call of a string', stream(Buffer.concat([op.text('os'), op.mark, op.tuple, op.call])), /no function/],
    ['a name that is a nested list', stream(Buffer.concat([op.list, op.list, Buffer.from([0x93])])), /no text/],
    ['a string of 4 GB', stream(Buffer.from('X\xff\xff\xff\xffw', 'latin1')), /ends too early/],
    ['a string of 2^63 bytes', stream(Buffer.from('8dffffffffffffff7f77', 'hex')), /ends too early/],
    ['a number of 255 bytes', stream(Buffer.concat([Buffer.from([0x8a, 255]), Buffer.alloc(255)])), /of 255 bytes/],
    ['bytes', stream(Buffer.from('C\x01a', 'latin1')), /opcode 0x43/],
    ['an empty stack', stream(Buffer.from('a')), /not pushed/],
    ['no mark', stream(Buffer.from('t')), /not set/],
    ['a value that was not stored', stream(op.recall(7)), /recalls the value 7/],
    ['a list in itself', stream(Buffer.concat([op.list, op.store(0), op.recall(0), op.append])), /it is none/],
    [
      'a dictionary in itself',
      stream(Buffer.concat([dictionary({}), op.store(0), op.text('w'), op.recall(0), Buffer.from('s')])),
      /no tensors/,
    ],
    [
      'the same pairs for many ordered dictionaries',
      stream(
        Buffer.concat([
          ...[op.name('collections', 'OrderedDict'), op.store(0)],
          ...[op.list, op.mark, op.mark, op.text('a'), op.text('b'), op.tuple, op.store(1)],
          ...Array<Buffer>(2 ** 15).fill(op.recall(1)),
          ...[Buffer.from('e'), op.store(2)],
          ...Array<Buffer>(3).fill(Buffer.concat([op.recall(0), op.mark, op.recall(2), op.tuple, op.call])),
        ]),
      ),
      /ordered dictionaries of more than 65536 pairs/,
    ],
    ['a million lists', stream(Buffer.alloc(2 ** 20, ']')), /more than 262144 opcodes/],
    ['lists in lists', stream(Buffer.concat([Buffer.alloc(50_000, ']'), Buffer.alloc(49_999, 'a')])), /it is none/],
    ['no dictionary', stream(op.text('w')), /Expected a dictionary of tensors/],
    ['two dictionaries of tensors', stream(dictionary({ a: one, b: one }), four), /several: a, b/],
    ['a tensor larger than its storage', stream(dictionary({ w: tensor({ shape: [5] }) }), four), /not inside/],
    [
      'a tensor that repeats its storage',
      stream(dictionary({ w: tensor({ shape: [2 ** 30], strides: [0] }) }), four),
      /not inside/,
    ],
    [
      'a tensor of 2^90 elements',
      stream(dictionary({ w: tensor({ shape: [2 ** 30, 2 ** 30, 2 ** 30], strides: [0, 0, 0] }) }), four),
      /not inside/,
    ],
    [
      'a negative stride',
      stream(dictionary({ w: tensor({ offset: 3, strides: [-1] }) }), four),
      /without storage, offset/,
    ],
    [
      'a storage larger than the file',
      stream(dictionary({ w: tensor({ elements: 2 ** 30 }) }), four),
      /has 4 elements, and/,
    ],
    ['a storage that is missing', stream(one), /does not have the storage '0'/],
    ['a storage of no tensor', stream(one, { 0: [1, 2, 3, 4], 1: [] }), /no tensor has/],
    [
      'a part outside of its storage',
      stream(dictionary({ w: tensor({}, [op.mark, op.text('1'), op.integer(2), op.integer(3), op.tuple]) }), four),
      /part of the storage/,
    ],
    ['a truncated storage', stream(one, four).subarray(0, -1), /too early.*truncated/],
    ['a zip without data.pkl', zip([whole]), /without PyTorch's data\.pkl/],
    ['a Keras archive', zip([{ name: 'model.weights.h5', data }]), /Keras archive.*unzip FILE model\.weights\.h5/],
    ['a zip without a storage', torchZip(one, []), /no data\/0/],
    [
      'a zip bomb',
      torchZip(one, [{ ...whole, data: deflateRawSync(Buffer.alloc(2 ** 20)), method: 8, size: 16 }]),
      /compressed/,
    ],
    ['a size that is not the truth', torchZip(one, [{ ...whole, size: 2 ** 31 }]), /file data overflows file bounds/],
    [
      'a size that is not that of the storage',
      torchZip(one, [{ ...whole, data: data.subarray(4) }]),
      /has 12 bytes, and its storage takes 16/,
    ],
    [
      'two storages in the same bytes',
      torchZip(dictionary({ v: tensor({}), w: tensor({ key: '1' }) }), [
        whole,
        { ...whole, name: 'archive/data/1', begin: 0 },
      ]),
      /overlaps/,
    ],
    ['two entries of a name', torchZip(one, [whole, whole]), /two entries .* 'archive\/data\/0'/],
    ['a path out of the archive', torchZip(one, [whole, { name: '../../etc/passwd', data }]), /invalid relative path/],
    [
      'big-endian numbers',
      torchZip(one, [whole, { name: 'archive/byteorder', data: Buffer.from('big') }]),
      /big-endian/,
    ],
    ['a zip cut off', torchZip(one, [whole]).subarray(0, -10), /truncated\? Copy or download it again/],
  ]

  it.each(refused)('with %s is refused', async (_, bytes, message) => {
    const error = await read(bytes).then(
      () => undefined,
      (thrown) => thrown,
    )
    expect(error).toBeInstanceOf(VggError)
    expect(error).toMatchObject({ code: 'FILE_FORMAT', message: expect.stringMatching(message) })
    expect(error.message).not.toContain('\n')
    expect(existsSync(marker)).toBe(false)
  })

  const small: [string, Uint8Array][] = [
    ['stream', stream(one, four)],
    ['zip', torchZip(one, [whole])],
  ]

  /** Reads the files, all of which must be read or refused, and counts those refused. */
  async function countRefused(files: Iterable<Uint8Array>): Promise<number> {
    let refusals = 0
    for (const bytes of files) {
      await read(bytes).catch((error) => {
        expect(error).toBeInstanceOf(VggError)
        refusals++
      })
    }
    return refusals
  }

  it.each(small)('cut off at any byte is refused: %s', async (_, bytes) => {
    const files = Array.from({ length: bytes.length }, (_, length) => bytes.subarray(0, length))
    expect(await countRefused(files)).toBe(files.length)
  })

  it.each(small)('with a bit of any byte changed is read or refused: %s', async (_, bytes) => {
    const files = Array.from(bytes, (byte, at) => Uint8Array.from(bytes).fill(byte ^ (1 << (at % 8)), at, at + 1))
    const refusals = await countRefused(files)
    expect(refusals).toBeGreaterThan(files.length / 3)
    expect(refusals).toBeLessThan(files.length)
  })
})
