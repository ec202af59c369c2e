import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { root, start } from './setup/command.js'
import { writeDigitPhotos } from './setup/digit-photos.js'

const text = await readFile(path.join(root, 'README.md'), 'utf8')
const blocks = [...text.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, code = '']) => code)

// Inside the package, so that `import 'vggnet'` means this package.
let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(path.join(root, 'build', 'readme-'))
  await writeDigitPhotos(path.join(folder, 'photos'), 2, 20)
})

/** Its files are the test's own: what a block calls 'photos' and 'checkpoints' lies in the test's folder. */
const placed = (code: string): string =>
  code.replaceAll(/'(photos|checkpoints)'/g, (_, name) => JSON.stringify(path.join(folder, name)))

afterAll(() => rm(folder, { recursive: true, force: true }))

describe('README', () => {
  test('shows the API by example', () => expect(blocks.length).toBeGreaterThanOrEqual(3))

  test.each(blocks.map((code, index) => [String(index + 1), code] as const))('block %s runs', async (index, code) => {
    const file = path.join(folder, `block-${index}.ts`)
    await writeFile(file, placed(code))
    const { code: exit, stderr, stdout } = await start(file, []).ended
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' })
    // a comment behind console.log says what a stranger will read
    for (const [, shape = ''] of code.matchAll(/console\.log\(.*\) \/\/ (\[[\d, ]+\])$/gm))
      expect(stdout.replace(/\s+/g, ' ')).toContain(shape.replace(/^\[/, '[ ').replace(/\]$/, ' ]'))
  })

  test.each([...text.matchAll(/\]\((?!https?:)([^)#]+)\)/g)].map(([, link = '']) => link))(
    'the link %s leads to a file',
    async (link) => {
      expect((await readFile(path.join(root, link), 'utf8')).length).toBeGreaterThan(0)
    },
  )
})
