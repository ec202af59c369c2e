import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { cudaLibraryFiles, cudnnLibrary } from '../../../lib/platform/wheels/pins.mjs'
import { root } from '../../setup/command.js'

const here = path.dirname(fileURLToPath(import.meta.url))

function compile(compiler: 'gcc' | 'g++', file: string, words: readonly string[]): string {
  mkdirSync(path.dirname(file), { recursive: true })
  execFileSync(compiler, ['-shared', '-fPIC', `-Wl,-soname,${path.basename(file)}`, ...words, '-o', file])
  return file
}

/** The folder of a driver for LD_LIBRARY_PATH; version: 13000 is CUDA 13.0, status: of cuInit. */
export function driverFolder(folder: string, driver: { version: number; cards: number; status?: number }): string {
  const { version, cards, status = 0 } = driver
  const numbers = [`-DVERSION=${version}`, `-DCARDS=${cards}`, `-DSTATUS=${status}`]
  compile('gcc', path.join(folder, 'libcuda.so.1'), [...numbers, path.join(here, 'driver.c')])
  return folder
}

/** The CUDA library of a build; opening a card throws `openError`. */
export function cudaLibrary(file: string, buildId: string, openError: string): string {
  const texts = [`-DBUILD_ID="${buildId}"`, `-DOPEN_ERROR="${openError}"`]
  const words = ['-std=c++20', '-fvisibility=hidden', `-I${path.join(root, 'native')}`, ...texts]
  return compile('g++', file, [...words, path.join(here, 'library.cpp')])
}

/** A CUDA library that ends its process when it is used. */
export const abortingLibrary = (file: string): string => compile('gcc', file, [path.join(here, 'aborting.c')])

/** A library with nothing in it. */
export function emptyLibrary(file: string): string {
  const source = `${file}.c`
  mkdirSync(path.dirname(file), { recursive: true })
  writeFileSync(source, '')
  return compile('gcc', file, [source])
}

const { cublas, cudnn } = cudaLibraryFiles

export const cudnnParts = cudnn.filter((name) => name !== cudnnLibrary)

/** Every required library of NVIDIA, in the order in which native code opens them. */
export const nvidiaFiles = [...cublas, ...cudnnParts, cudnnLibrary]
