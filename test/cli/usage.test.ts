import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify, stripVTControlCharacters } from 'node:util'
import type { Command } from 'commander'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createProgram } from '../../lib/cli/program.js'
import { commandLine, root, vggnet } from '../setup/command.js'
import { writeStripes } from '../setup/stripe-files.js'

describe('help', () => {
  test('names the commands, exit codes and variables', async () => {
    const { code, stdout, stderr } = await vggnet(['--help'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    for (const word of ['describe', 'train', 'classify', 'doctor', 'Exit codes: 0', 'NO_COLOR'])
      expect(stdout).toContain(word)
  })

  test.each(['describe', 'train', 'evaluate', 'classify', 'doctor', 'tune', 'cuda install'])(
    '%s has examples',
    async (command) => {
      const { code, stdout } = await vggnet([...command.split(' '), '--help'])
      expect(code).toBe(0)
      expect(stdout).toMatch(new RegExp(`Examples:\\n +\\$ vggnet ${command}`))
    },
  )

  test('the version is that of the package', async () => {
    expect((await vggnet(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
  })
})

describe('an error is one line with its code', () => {
  test.each<[string, string[], number, RegExp]>([
    ['an unknown command', ['descibe'], 2, /INVALID_ARGUMENT: unknown command 'descibe' .*describe/],
    ['an unknown option', ['describe', '--clases', '3'], 2, /INVALID_ARGUMENT: unknown option .*--classes/],
    ['no number', ['describe', '--classes', 'ten'], 2, /--classes.*Expected a number/],
    ['an unknown variant', ['describe', '--variant', 'F'], 2, /INVALID_ARGUMENT: Expected one of A, .*'F'/],
    ['a size too small', ['describe', '--image-size', '31'], 2, /at least 32 pixels/],
    ['no data', ['train'], 2, /INVALID_ARGUMENT: Expected DATA, .* or --images FILE and --labels FILE/],
    ['a missing file', ['train', '--images', 'none.idx', '--labels', 'none.idx'], 1, /FILE_NOT_FOUND: .*none\.idx/],
    [
      'a file of another kind',
      ['train', '--images', 'package.json', '--labels', 'x'],
      1,
      /FILE_FORMAT: .*package\.json/,
    ],
    ['a division where none is made', ['evaluate', 'none', '--split', '0.1'], 2, /unknown option '--split'/],
    [
      'data in place of a model',
      ['evaluate', 'test'],
      2,
      /INVALID_ARGUMENT: Expected a model file .* but test is a folder/,
    ],
    ['a missing model', ['classify', 'none.safetensors', 'a.png'], 1, /FILE_NOT_FOUND: .*none\.safetensors/],
    ['no image', ['classify', 'none.safetensors'], 2, /missing required argument 'image'/],
  ])('%s', async (_, words, expected, message) => {
    const { code, stdout, stderr } = await vggnet(words)
    expect(stderr).toMatch(/^vggnet: [A-Z_]+: [^\n]+\n$/)
    expect(stderr).toMatch(message)
    expect({ code, stdout }).toEqual({ code: expected, stdout: '' })
  })

  test('DEBUG=vggnet adds the stack', async () => {
    const { stderr } = await vggnet(['describe', '--variant', 'F'], { DEBUG: 'vggnet' })
    expect(stderr).toMatch(/^vggnet: INVALID_ARGUMENT: [^\n]+\n.*\n +at /s)
  })

  test('no command at all shows the help and is wrong use', async () => {
    const { code, stderr } = await vggnet([])
    expect(code).toBe(2)
    expect(stderr).toContain('Usage: vggnet')
  })
})

test('the help states the default of each flag that takes a value, other than a file', () => {
  const programs = (command: Command): Command[] => [command, ...command.commands.flatMap(programs)]
  const silent = programs(createProgram()).flatMap((command) =>
    command.options
      .filter(({ flags, hidden }) => flags.includes('<') && !hidden)
      .filter(({ flags }) => !/<(?:file|folder|model|source)>|^--val-list/.test(flags))
      .filter(({ description, defaultValue }) => defaultValue === undefined && !/\bdefault: \S/.test(description))
      .map(({ long }) => `${command.name()} ${long}`),
  )
  expect(silent).toEqual([])
})

describe('on a terminal', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'vggnet-terminal-'))
  beforeAll(() => writeStripes(folder, 'stripes', 40, 1))
  afterAll(() => rmSync(folder, { recursive: true }))

  /** What several calls of `vggnet` print on a terminal, as lines without colours and cursor movements. */
  async function linesOn(columns: number, ...calls: string[]): Promise<string[]> {
    const commands = calls.map((call) => `${process.execPath} ${commandLine} ${call}`)
    const script = [`stty cols ${columns}`, ...commands].join('; ')
    const { stdout } = await promisify(execFile)('script', ['-qec', script, '/dev/null'], { cwd: root })
    // a progress bar goes back to the first column
    const rows = stdout
      .replaceAll('\u001b[0G', '\n')
      .replaceAll('\u001b[1G', '\n')
      .split(/\r?\n|\r/)
    return rows.map((row) => stripVTControlCharacters(row).trimEnd())
  }

  test.each([80, 40])('of %d columns nothing wraps that is no path', async (columns) => {
    const data = `--images ${folder}/stripes --labels ${folder}/stripes-labels --out ${folder}/${columns}`
    const small = '--width 1/8 --head-width 32 --device cpu --threads 1 --batch 20 --epochs 2'
    const lines = await linesOn(columns, 'train --help', 'describe --training', `train ${data} ${small}`)
    expect(lines.filter((line) => line.length > columns && !line.includes(folder))).toEqual([])
    const text = lines.join('\n')
    for (const word of ['Usage: vggnet train', 'total', 'memory', 'epoch 2/2  ', '2 epochs, '])
      expect(text).toContain(word)
    expect(text).toContain(columns === 80 ? 'train  ' : ' \u2026')
  })
})
