import { cpSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { root } from '../setup/command.js'
import { newFolder } from '../setup/folder.js'
import { startProgram } from './program.js'

/** The package in a folder of its own, with the binary and libraries of a build, as it is installed. */
function copyOfPackage(folder: string, build: string): string {
  const binaries = path.join(folder, 'prebuilds/linux-x64')
  mkdirSync(binaries, { recursive: true })
  for (const part of ['dist', 'package.json'])
    cpSync(path.join(root, part), path.join(folder, part), { recursive: true })
  for (const name of readdirSync(path.join(root, build)).filter((file) => /\.(node|so\.\d)$/.test(file))) {
    cpSync(path.join(root, build, name), path.join(binaries, name))
  }
  symlinkSync(path.join(root, 'node_modules'), path.join(folder, 'node_modules'))
  return folder
}

const right = {
  // both compute the same, at once and in turns, and each as long as the other is there
  logits: [1, 1, 1],
  errors: {
    one: [true, false, 'SHAPE_MISMATCH'],
    other: [true, false, 'SHAPE_MISMATCH'],
    native: [true, false, 'STATE'],
  },
  strangers: [
    'INVALID_ARGUMENT Expected a Tensor for images but received Tensor (object) of another copy of vggnet',
    'INVALID_ARGUMENT Expected a Network for other but received VGG (object) of another copy of vggnet',
    'INVALID_ARGUMENT Expected a Network for network but received VGG (object) of another copy of vggnet',
  ],
  data: 1,
}

async function said(env: NodeJS.ProcessEnv) {
  const folder = newFolder()
  const [one, other] = ['one', 'other'].map((name) => copyOfPackage(path.join(folder, name), 'build/Release'))
  const { code, signal, out, error } = await startProgram('copies-program.mjs', [one, other, folder], { env }).ended
  // it ends by process.exit, while both compute
  expect({ code, signal, error }).toEqual({ code: 3, signal: null, error: '' })
  return JSON.parse(out)
}

test('two copies of the package compute in one process; what one made is a typed error for the other', async () => {
  const { loaded, ...rest } = await said({ VGGNET_BINARY: undefined })
  expect(rest).toEqual(right)
  expect(loaded['vggnet.node']).toBe(2)
  // libraries of one name are loaded once: the first copy's serve both, and OpenMP has one pool of threads
  expect([loaded['libgomp.so.1'], loaded['libdnnl.so.3']]).toEqual([1, 1])
})

test('so do two copies that load one binary', async () => {
  const { loaded, ...rest } = await said({ VGGNET_BINARY: path.join(root, 'build/Release/vggnet.node') })
  expect(rest).toEqual(right)
  expect(loaded['vggnet.node']).toBe(1)
})
