import { execFile } from 'node:child_process'
import { chmodSync, existsSync, readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import { beforeEach, expect, test } from 'vitest'
import {
  baselineFiles,
  baselinesAreInstalled,
  baselineVersions,
  defaultBaselinesFolder,
} from '../../scripts/setup/peers.mjs'
import { newFolder, writeFiles } from './folder.js'

// Stand-ins that record their arguments and write the files that the real programs would. python3 makes a venv that contains it.
const python = `#!/bin/sh
echo "python $*" >> "$CALLS"
case "$*" in
  *venv*) for last; do :; done; mkdir -p "$last/bin"; cp "$0" "$last/bin/python" ;;
  *$REFUSED*) echo "no matching distribution"; exit 1 ;;
  *baseline_torch*) for last; do :; done; echo model > "$last" ;;
esac
`
const npm = `#!/bin/sh
echo "npm $*, $ONNXRUNTIME_NODE_INSTALL" >> "$CALLS"
mkdir -p node_modules/onnxruntime-node
`

let tools = ''
let folder = ''
beforeEach(() => {
  tools = newFolder()
  folder = path.join(newFolder(), 'peers')
  writeFiles(tools, { python3: python, npm, calls: '' })
  for (const name of ['python3', 'npm']) chmodSync(path.join(tools, name), 0o755)
})

async function install(refused = 'nothing of it') {
  const env = {
    ...process.env,
    PATH: `${tools}${path.delimiter}${process.env.PATH}`,
    CALLS: path.join(tools, 'calls'),
    REFUSED: refused,
  }
  return promisify(execFile)(process.execPath, ['scripts/peers.mjs', '--to', folder], { env }).then(
    (out) => ({ ok: true, ...out }),
    ({ stdout, stderr }) => ({ ok: false, stdout, stderr }),
  )
}

const calls = () =>
  readFileSync(path.join(tools, 'calls'), 'utf8')
    .split('\n')
    .filter((line) => / install | install$|-m venv|baseline_torch/.test(line))

const torch = `torch==${baselineVersions.torch}`

test('the baselines are installed in a separate folder, once', async () => {
  expect(baselinesAreInstalled(folder)).toBe(false)
  const first = await install()
  expect(first).toMatchObject({ ok: true, stdout: '' })
  expect(first.stderr).toContain(`the baselines are in ${folder}`)
  expect(baselinesAreInstalled(folder)).toBe(true)
  const [venv, pip, onnx, runtime, model, ...more] = calls()
  expect(venv).toContain(`python -I -m venv --clear ${path.join(folder, 'venv')}`)
  expect(pip).toMatch(new RegExp(`^python -I -m pip install .*${torch.replaceAll('.', '\\.')}\\+cpu$`))
  expect(onnx).toMatch(/ onnx==/)
  expect(runtime).toMatch(/--ignore-scripts.* onnxruntime-node@[\d.]+, skip$/)
  expect(model).toMatch(/^python -I \/.*\/bench\/baseline_torch\.py export .*\.onnx$/)
  expect(more).toEqual([])

  const second = await install()
  expect(second).toMatchObject({ ok: true, stderr: `setup: the baselines are already in ${folder}\n` })
  expect(calls()).toHaveLength(5)
})

test('without a build for the CPU, the common one is installed, with a message', async () => {
  const { ok, stderr } = await install('+cpu')
  expect(ok).toBe(true)
  expect(stderr).toContain(
    `pip found no ${torch.replace('==', ' ')}+cpu: PIP_EXTRA_INDEX_URL may name an index that has it`,
  )
  expect(calls().some((line) => line.endsWith(` ${torch}`))).toBe(true)
})

test('a failure is reported in a sentence, and the next run continues', async () => {
  const { ok, stderr } = await install('onnx==')
  expect(ok).toBe(false)
  expect(stderr).toMatch(
    /^no matching distribution\nsetup: pip could not install onnx==.*: check the network.* \[DOWNLOAD_FAILED\]$/m,
  )
  expect(baselinesAreInstalled(folder)).toBe(false)
  expect((await install()).ok).toBe(true)
  expect(calls().filter((line) => line.includes('-m venv'))).toHaveLength(1)
})

test('removed files are fetched again; the name of the folder contains the versions', async () => {
  await install()
  rmSync(baselineFiles(folder).model)
  expect(baselinesAreInstalled(folder)).toBe(false)
  await install()
  expect(existsSync(baselineFiles(folder).model)).toBe(true)
  expect(defaultBaselinesFolder('/cache')).toBe(
    `/cache/peers-torch-${baselineVersions.torch}-onnxruntime-${baselineVersions['onnxruntime-node']}`,
  )
})

test('an unknown flag is refused by name', async () => {
  const run = promisify(execFile)(process.execPath, ['scripts/peers.mjs', '--from', 'x'])
  await expect(run).rejects.toMatchObject({ stderr: expect.stringContaining('Expected [--to FOLDER]') })
})
