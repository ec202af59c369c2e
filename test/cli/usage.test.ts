import { describe, expect, test } from 'vitest'
import { vggnet } from '../setup/command.js'

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
