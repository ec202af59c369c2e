import path from 'node:path'
import { holdLock } from '../../lib/platform/wheels/lock.mjs'
import { compileLibrary } from '../../scripts/setup/compile.mjs'
import { root } from './command.js'

/** Vitest calls it once before the tests: they run the command line from dist/, which must be what lib/ says. */
export const setup = (): Promise<void> => holdLock(path.join(root, 'setup'), () => compileLibrary(root))
