// What vggnet is measured beside on a processor, in a folder of its own: PyTorch in a venv, onnxruntime-node, VGG-16 for it.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { cacheFolder } from '../../lib/platform/wheels/cache.mjs'
import { holdLock } from '../../lib/platform/wheels/lock.mjs'
import { findPython, installCommand, isolated } from '../../lib/platform/wheels/python.mjs'
import { announce, run } from './command.mjs'
import { SetupProblem } from './problem.mjs'

/** The versions that figures are given for. */
export const peerVersions = { torch: '2.13.0', onnx: '1.23.2', 'onnxruntime-node': '1.30.0' }

/** Where the peers lie unless another folder is named. */
export const defaultPeersFolder = (cache = cacheFolder()) =>
  path.join(cache, `peers-torch-${peerVersions.torch}-onnxruntime-${peerVersions['onnxruntime-node']}`)

const finishedFile = (folder) => path.join(folder, 'peers.json')

/** What lies in a folder of peers. */
export const runFiles = (folder) => ({
  python: path.join(folder, 'venv', 'bin', 'python'),
  runtime: path.join(folder, 'node_modules', 'onnxruntime-node'),
  /** VGG-16 for batch 8 at 224x224, with random weights. */
  model: path.join(folder, 'vgg16-batch-8.onnx'),
})

/** Whether `installPeers` has finished there, with these versions. */
export function peersAreThere(folder) {
  if (!existsSync(finishedFile(folder))) return false
  const found = readFileSync(finishedFile(folder), 'utf8')
  return found === `${JSON.stringify(peerVersions)}\n` && Object.values(runFiles(folder)).every(existsSync)
}

async function must(code, what, program, { words, ...options }) {
  const { ok, output } = await run(program, words, options)
  if (!ok) throw new SetupProblem(code, what, output)
}

async function makeVenv(folder, python) {
  if (existsSync(python)) return
  const base = await findPython()
  const cure = `install Python's venv with \`${installCommand('python3-venv')}\``
  await announce('a venv', () =>
    must('MISSING_TOOL', `could not make a venv: ${cure}`, base, isolated([...venvWords, path.join(folder, 'venv')])),
  )
}

const networkCure = 'check the network (behind a proxy: HTTPS_PROXY; a mirror: PIP_INDEX_URL) and run the command again'
const venvWords = ['-m', 'venv', '--clear']
const pipWords = [
  ...['-m', 'pip', 'install', '--only-binary=:all:', '--no-input', '--disable-pip-version-check', '--no-cache-dir'],
]

const pipInstall = (python, title, ...wanted) =>
  announce(title, () =>
    must(
      'DOWNLOAD_FAILED',
      `pip could not install ${wanted.join(', ')}: ${networkCure}`,
      python,
      isolated([...pipWords, ...wanted]),
    ),
  )

// An index that has builds for the processor only marks them +cpu; the common build brings CUDA's libraries along.
async function installTorch(python) {
  const { torch } = peerVersions
  try {
    await pipInstall(python, `PyTorch ${torch} for the processor (200 MB)`, `torch==${torch}+cpu`)
  } catch (error) {
    if (!(error instanceof SetupProblem)) throw error
    const cure = "PIP_EXTRA_INDEX_URL may name an index that has; now the common build is taken, with CUDA's libraries"
    process.stderr.write(`setup: pip found no torch ${torch}+cpu: ${cure}\n`)
    await pipInstall(python, `PyTorch ${torch} with CUDA (3 GB)`, `torch==${torch}`)
  }
}

async function installRuntime(folder) {
  const name = `onnxruntime-node@${peerVersions['onnxruntime-node']}`
  const words = ['install', '--prefix', folder, '--ignore-scripts', '--no-save', '--no-audit', '--no-fund', name]
  await announce(name, () =>
    must('DOWNLOAD_FAILED', `npm could not install ${name}; its output is above`, 'npm', {
      words,
      // the processor's libraries are in the package; its script would fetch CUDA's
      env: { ONNXRUNTIME_NODE_INSTALL: 'skip' },
      cwd: folder,
    }),
  )
}

async function exportModel(root, { python, model }) {
  if (existsSync(model)) return
  const script = path.join(root, 'bench', 'export_onnx.py')
  await announce('VGG-16 as ONNX (553 MB)', () =>
    // not -I, for it imports a module beside it; that folder, and no other, is searched besides the venv
    must('BUILD_FAILED', 'PyTorch could not export VGG-16; its output is above', python, {
      words: ['-E', '-s', script, model],
    }),
  )
}

/** Makes the folder, where it is not there yet; what an interrupted run left is gone on with. */
export async function installPeers(root, folder) {
  if (peersAreThere(folder)) {
    process.stderr.write(`setup: the peers are in ${folder} already\n`)
    return
  }
  mkdirSync(folder, { recursive: true })
  const onWaiting = (owner) => process.stderr.write(`setup: waiting for process ${owner}, which does the same\n`)
  const install = async () => {
    const positions = runFiles(folder)
    await makeVenv(folder, positions.python)
    await installTorch(positions.python)
    await pipInstall(positions.python, `onnx ${peerVersions.onnx}`, `onnx==${peerVersions.onnx}`)
    await installRuntime(folder)
    await exportModel(root, positions)
    writeFileSync(finishedFile(folder), `${JSON.stringify(peerVersions)}\n`)
  }
  await holdLock(path.join(folder, 'peers'), install, { onWaiting })
  process.stderr.write(`setup: the peers are in ${folder}; remove it when they are not wanted any more\n`)
}
