import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, expect, test } from 'vitest'
import { layersWithParameters, tensorNames } from '../../lib/layer.js'
import { layersOf } from '../../lib/vgg/configuration.js'
import { type VariantLetter, variants } from '../../lib/vgg/variants.js'
import { root } from '../setup/command.js'
import { blocksOf, documents, read } from '../setup/document.js'

// Inside the package, so that `import 'vggnet'` means its declarations in dist/, as installed.
const folder = mkdtempSync(path.join(root, 'build', 'types-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** The settings of a careful user. Declarations are checked too: skipLibCheck is off. */
const compilerOptions = {
  ...{ target: 'es2022', lib: ['es2023', 'esnext.disposable'], module: 'nodenext', types: ['node'], noEmit: true },
  ...{ strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, noImplicitReturns: true },
  ...{ noImplicitOverride: true, allowImportingTsExtensions: true, verbatimModuleSyntax: true },
}

/** A program that compiles only if the types of names have exactly those of the layers that each configuration has. */
function exactNames(): string {
  const letters = Object.keys(variants) as VariantLetter[]
  const record = (type: string, names: readonly string[]) =>
    `({ ${names.map((name) => `'${name}': 1`).join(', ')} }) satisfies Record<${type}, 1>`
  const lines = letters.flatMap((variant) => {
    const layers = layersOf({ variant, classes: 2 })
    const blocks = [1, 2, 3, 4, 5].map((block) => `conv${block}`)
    const named = [...layersWithParameters(layers), ...blocks, 'convolutions', 'head']
    return [record(`TensorName<'${variant}'>`, tensorNames(layers)), record(`LayerName<'${variant}'>`, named)]
  })
  return `import type { LayerName, TensorName } from 'vggnet'\n${lines.join('\n')}\n`
}

/** Every TypeScript block of the documents, by a name for messages. */
const blocks = documents.flatMap((document) =>
  blocksOf(read(document), 'ts').map((code, index) => [`${document.replaceAll('/', '-')}-${index + 1}.ts`, code]),
)

test('names, documents and examples compile under strict, exactOptionalPropertyTypes and noUncheckedIndexedAccess', async () => {
  expect(blocks.length).toBeGreaterThanOrEqual(7)
  for (const [name = '', code = ''] of [...blocks, ['exact-names.ts', exactNames()]])
    writeFileSync(path.join(folder, name), code)
  const examples = readdirSync(path.join(root, 'examples')).filter((name) => name.endsWith('.ts'))
  const files = [
    ...readdirSync(folder),
    path.join(root, 'test/mistakes/typed-names.ts'),
    ...examples.map((name) => path.join(root, 'examples', name)),
  ]
  writeFileSync(path.join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }))
  const compiler = path.join(root, 'node_modules/typescript/bin/tsc')
  const compiled = promisify(execFile)(process.execPath, [compiler, '-p', folder, '--pretty', 'false'])
  expect(
    await compiled.then(
      () => '',
      ({ stdout }: { stdout: string }) => stdout,
    ),
  ).toBe('')
})
