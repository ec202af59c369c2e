import { readdirSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { expect } from 'vitest'
import { root, start } from './command.js'

/** A file of this repository, by its path from the root. */
export const read = (...parts: string[]): string => readFileSync(path.join(root, ...parts), 'utf8')

/** The documents that people write, as paths from the root: all but docs/api, which is generated, and the changelog. */
export const documents: readonly string[] = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'examples/README.md',
  ...readdirSync(path.join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
]

/** The fenced blocks of a document in this language, in order. */
export const blocksOf = (document: string, language: string): string[] =>
  [...document.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)]
    .filter(([, its]) => its === language)
    .map(([, , code = '']) => code)

const withoutBlocks = (document: string): string => document.replaceAll(/^```[\s\S]*?^```$/gm, '')

/** What a document has in inline code. */
export const inlineCodeOf = (document: string): string[] =>
  [...withoutBlocks(document).matchAll(/`([^`]+)`/g)].map(([, code = '']) => code)

/** The text of a document: without code, names of files, and the targets of links and images. */
export const proseOf = (document: string): string =>
  withoutBlocks(document)
    .replaceAll(/`[^`]+`/g, '')
    .replaceAll(/\[[\w/-]+\.\w+(?=\]\()|\]\([^)]*\)|<(?!img)[^>]+>/g, '')

/** The targets of a document's links and images, without those on the web. */
export const linksOf = (document: string): string[] =>
  [...document.matchAll(/\]\(([^)\s]+)\)|<img src="([^"]+)"/g)]
    .map(([, link, source]) => link ?? source ?? '')
    .filter((link) => !/^https?:/.test(link))

/**
 * The command lines in a document's shell blocks and inline code: without comments, variables that are set for one command,
 * and `npx`.
 */
export const commandLinesOf = (document: string): string[] =>
  [...blocksOf(document, 'sh').flatMap((code) => code.split('\n')), ...inlineCodeOf(document)]
    .flatMap((line) => line.replace(/(^|\s)#.*/, '').split(';'))
    .map((line) => line.replaceAll(/\s+/g, ' ').trim())
    .map((line) => line.replace(/^([A-Z_]+=\S+ )*(npx )?/, ''))

/** Runs a TypeScript block as a file in this folder, which has to be in the package. Returns what it prints. */
export async function outputOf(code: string, folder: string, name: string): Promise<string> {
  const file = path.join(folder, `${name}.ts`)
  await writeFile(file, code)
  const { code: exit, stderr, stdout } = await start(file, []).ended
  expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' })
  return stdout
}
