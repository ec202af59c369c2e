import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { sha256Of } from '../../scripts/setup/manifest.mjs'
import { oneDnnFolder } from '../../scripts/setup/native.mjs'
import { pack } from '../package/packed.js'
import { root } from '../setup/command.js'

let scratch: string
beforeEach(() => {
  scratch = mkdtempSync(path.join(tmpdir(), 'vggnet-test-'))
})
afterEach(() => rmSync(scratch, { recursive: true, force: true }), 300_000)

/** What git has here, changes included, in another folder. */
function copyCheckout(folder: string): void {
  mkdirSync(folder, { recursive: true })
  const words = ['ls-files', '--cached', '--others', '--exclude-standard']
  for (const name of execFileSync('git', words, { cwd: root, encoding: 'utf8' }).trim().split('\n')) {
    cpSync(path.join(root, name), path.join(folder, name), { verbatimSymlinks: true })
  }
  symlinkSync(path.join(root, 'node_modules'), path.join(folder, 'node_modules'))
}

function makePrebuild(folder: string, env: NodeJS.ProcessEnv): string {
  const parts = ['native', 'library', 'prebuild']
  const { status, stderr } = spawnSync(process.execPath, [path.join(folder, 'scripts/setup.mjs'), ...parts], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  })
  expect(stderr).toContain('prebuilt binary')
  expect(status).toBe(0)
  return readFileSync(path.join(folder, 'prebuilds/linux-x64/manifest.json'), 'utf8')
}

test('two clones in different positions, with oneDNN in different positions, make the same package', async () => {
  const [short, long] = [path.join(scratch, 'a'), path.join(scratch, 'a longer way to/another-clone')]
  copyCheckout(short)
  copyCheckout(long)
  const oneDnn = path.join(scratch, 'oneDNN of mine')
  cpSync(await oneDnnFolder(), oneDnn, { recursive: true, verbatimSymlinks: true })
  // the manifest has the hash of each binary
  expect(makePrebuild(long, { VGGNET_ONEDNN_DIR: oneDnn })).toBe(makePrebuild(short, {}))
  mkdirSync(path.join(scratch, 'first'))
  mkdirSync(path.join(scratch, 'second'))
  const first = await pack(path.join(scratch, 'first'), short)
  const second = await pack(path.join(scratch, 'second'), long)
  expect(sha256Of(second.file)).toBe(sha256Of(first.file))
}, 1_800_000)
