// The baselines of the benchmark on the CPU, in a separate folder: PyTorch in a venv, onnxruntime-node, and VGG-16 as ONNX.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { cacheFolder } from '../../lib/platform/wheels/cache.mjs'
import { holdLock } from '../../lib/platform/wheels/lock.mjs'
import { findPython, installCommand, isolated } from '../../lib/platform/wheels/python.mjs'
import { announce, run } from './command.mjs'
import { SetupProblem } from './problem.mjs'

/** The versions of the published figures. */
export const baselineVersions = { torch: '2.13.0', onnx: '1.23.2', 'onnxruntime-node': '1.30.0' }

/** The folder of the baselines if no other is given. */
export const defaultBaselinesFolder = (cache = cacheFolder()) =>
  path.join(cache, `peers-torch-${baselineVersions.torch}-onnxruntime-${baselineVersions['onnxruntime-node']}`)

const finishedFile = (folder) => path.join(folder, 'peers.json')

/** The paths in a folder of baselines. */
export const baselineFiles = (folder) => ({
  python: path.join(folder, 'venv', 'bin', 'python'),
  runtime: path.join(folder, 'node_modules', 'onnxruntime-node'),
  /** VGG-16 for batch 8 at 224x224, with random weights. */
  model: path.join(folder, 'vgg16-batch-8.onnx'),
})

/** Whether `installBaselines` has finished there, with these versions. */
export function baselinesAreInstalled(folder) {
  if (!existsSync(finishedFile(folder))) return false
  const found = readFileSync(finishedFile(folder), 'utf8')
  return found === `${JSON.stringify(baselineVersions)}\n` && Object.values(baselineFiles(folder)).every(existsSync)
}

async function must(code, what, program, { words, ...options }) {
  const { ok, output } = await run(program, words, options)
  if (!ok) throw new SetupProblem(code, what, output)
}

async function makeVenv(folder, python) {
  if (existsSync(python)) return
  const base = await findPython()
  const hint = `install Python's venv with \`${installCommand('python3-venv')}\``
  await announce('a venv', () =>
    must('MISSING_TOOL', `could not make a venv: ${hint}`, base, isolated([...venvWords, path.join(folder, 'venv')])),
  )
}

const networkHint = 'check the network (with a proxy: HTTPS_PROXY; a mirror: PIP_INDEX_URL) and run the command again'
const venvWords = ['-m', 'venv', '--clear']
const pipWords = [
  ...['-m', 'pip', 'install', '--only-binary=:all:', '--no-input', '--disable-pip-version-check', '--no-cache-dir'],
]

const pipInstall = (python, title, ...wanted) =>
  announce(title, () =>
    must(
      'DOWNLOAD_FAILED',
      `pip could not install ${wanted.join(', ')}: ${networkHint}`,
      python,
      isolated([...pipWords, ...wanted]),
    ),
  )

// An index with builds for the CPU alone marks them +cpu. The common build contains CUDA's libraries.
async function installTorch(python) {
  const { torch } = baselineVersions
  try {
    await pipInstall(python, `PyTorch ${torch} for the CPU (200 MB)`, `torch==${torch}+cpu`)
  } catch (error) {
    if (!(error instanceof SetupProblem)) throw error
    const hint = "PIP_EXTRA_INDEX_URL may name an index that has it; installing the common build with CUDA's libraries"
    process.stderr.write(`setup: pip found no torch ${torch}+cpu: ${hint}\n`)
    await pipInstall(python, `PyTorch ${torch} with CUDA (3 GB)`, `torch==${torch}`)
  }
}

async function installRuntime(folder) {
  const name = `onnxruntime-node@${baselineVersions['onnxruntime-node']}`
  const words = ['install', '--prefix', folder, '--ignore-scripts', '--no-save', '--no-audit', '--no-fund', name]
  await announce(name, () =>
    must('DOWNLOAD_FAILED', `npm could not install ${name}; its output is above`, 'npm', {
      words,
      // the libraries for the CPU are in the package; its script would fetch those for CUDA
      env: { ONNXRUNTIME_NODE_INSTALL: 'skip' },
      cwd: folder,
    }),
  )
}

async function exportModel(root, { python, model }) {
  if (existsSync(model)) return
  const script = path.join(root, 'bench', 'baseline_torch.py')
  await announce('VGG-16 as ONNX (553 MB)', () =>
    must(
      'BUILD_FAILED',
      'PyTorch could not export VGG-16; its output is above',
      python,
      isolated([script, 'export', model]),
    ),
  )
}

/** Installs the baselines in a folder, unless they are installed there. Continues an interrupted run. */
export async function installBaselines(root, folder) {
  if (baselinesAreInstalled(folder)) {
    process.stderr.write(`setup: the baselines are already in ${folder}\n`)
    return
  }
  mkdirSync(folder, { recursive: true })
  const onWaiting = (owner) => process.stderr.write(`setup: waiting for process ${owner}, which does the same\n`)
  const install = async () => {
    const files = baselineFiles(folder)
    await makeVenv(folder, files.python)
    await installTorch(files.python)
    await pipInstall(files.python, `onnx ${baselineVersions.onnx}`, `onnx==${baselineVersions.onnx}`)
    await installRuntime(folder)
    await exportModel(root, files)
    writeFileSync(finishedFile(folder), `${JSON.stringify(baselineVersions)}\n`)
  }
  await holdLock(path.join(folder, 'peers'), install, { onWaiting })
  process.stderr.write(`setup: the baselines are in ${folder}; delete it when you no longer need them\n`)
}
