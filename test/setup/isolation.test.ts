import { execFile } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { beforeEach, expect, test } from 'vitest'
import { cudaLibraryFiles } from '../../lib/platform/wheels/pins.mjs'
import { root } from './command.js'
import { newFolder, writeFiles } from './folder.js'
import { makeWheel } from './small-wheel.js'
import { unknownPip } from './unknown-pip.js'
import { pipOf, startIndex, type WheelIndex } from './wheel-index.js'

/** Modules that Python, pip or the programs of vggnet import. */
const modules = ['pip', 'json', 'logging', 'os', 'fcntl', 'site', 'sitecustomize', 'usercustomize', 'startup']
const userSites = Array.from({ length: 12 }, (_, minor) => `lib/python3.${minor + 8}/site-packages`)

let marker = ''
/** A folder whose modules, and whose python3, write to the marker when they are executed. */
let planted = ''
let cache = ''

beforeEach(() => {
  marker = path.join(newFolder(), 'marker')
  planted = newFolder()
  cache = path.join(newFolder(), 'cache')
  mkdirSync(cache)
  const program = `open(${JSON.stringify(marker)}, 'a').write(__file__ + '\\n')\n`
  const names = [...modules, ...userSites.map((site) => `${site}/usercustomize`)].map((name) => `${name}.py`)
  for (const folder of [planted, cache]) writeFiles(folder, Object.fromEntries(names.map((name) => [name, program])))
  writeFiles(planted, { python3: `#!/bin/sh\necho python3 >> ${marker}\n` })
  chmodSync(path.join(planted, 'python3'), 0o755)
})

const executed = () => (existsSync(marker) ? readFileSync(marker, 'utf8') : '')

/** Variables with which Python executes code that is not its own. */
const injecting = () => ({
  PYTHONPATH: planted,
  PYTHONSTARTUP: path.join(planted, 'startup.py'),
  PYTHONHOME: planted,
  PYTHONUSERBASE: planted,
})

/** Node in the planted folder, which is on the search path as well. */
async function nodeThere(words: readonly string[], environment: NodeJS.ProcessEnv, tools: string[] = []) {
  const others = Object.entries(process.env).filter(([name]) => !name.startsWith('PIP_'))
  const own = {
    PATH: ['', '.', ...tools, process.env.PATH].join(':'),
    VGGNET_CACHE: cache,
    NO_COLOR: '1',
    ...injecting(),
  }
  const env = { ...Object.fromEntries(others), ...own, ...environment }
  return new Promise<{ stdout: string; stderr: string }>((resolve) => {
    execFile(process.execPath, words, { cwd: planted, env }, (_, stdout, stderr) => resolve({ stdout, stderr }))
  })
}

const tsx = () => pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href
const vggnetThere = (words: readonly string[], environment: NodeJS.ProcessEnv) =>
  nodeThere(['--import', tsx(), path.join(root, 'lib/cli/main.ts'), ...words], environment)

test('cuda install executes nothing of the working folder, the cache, the search path or PYTHON* variables', async () => {
  const environment = { PIP_NO_INDEX: '1', PIP_FIND_LINKS: newFolder() }
  const { stderr } = await vggnetThere(['cuda', 'install'], environment)
  expect(stderr).toMatch(
    /vggnet: DOWNLOAD_FAILED: pip could not download nvidia-cudnn-cu13==[^\n]+: the package index has/,
  )
  expect(executed()).toBe('')
})

test('cuda status finds packages of NVIDIA in the user site and by PYTHONPATH, and executes nothing there', async () => {
  const libraries = userSites.flatMap((site) =>
    cudaLibraryFiles.cudnn.map((name) => `${site}/nvidia/cudnn/lib/${name}`),
  )
  writeFiles(planted, Object.fromEntries(libraries.map((file) => [file, ''])))
  const { stdout } = await vggnetThere(['cuda', 'status', '--json'], {})
  const [cudnn] = JSON.parse(stdout).libraries
  // a cuDNN of the system's own comes before, and python3 is not asked then
  if (cudnn.from === "python3's packages") expect(cudnn.folder.startsWith(planted)).toBe(true)
  else expect(['the system', '/usr/local/cuda']).toContain(cudnn.from)
  expect(executed()).toBe('')
})

async function fetchedThere(index: WheelIndex, pin: object, environment: NodeJS.ProcessEnv, tools: string[] = []) {
  const program = `
    import { installPin, pipSource } from ${JSON.stringify(path.join(root, 'lib/platform/wheels/install.mjs'))}
    const cache = ${JSON.stringify(cache)}
    console.log(await installPin({ cache, name: 'small', pin: ${JSON.stringify(pin)}, source: pipSource(cache) }))`
  const requests = index.starts.length
  const { HTTP_PROXY, http_proxy } = pipOf(index)
  const own = { HTTP_PROXY, http_proxy, ...environment }
  const { stdout, stderr } = await nodeThere(['--input-type=module', '-e', program], own, tools)
  expect(stderr).toBe('')
  expect(existsSync(path.join(stdout.trim(), 'part'))).toBe(true)
  expect(index.starts).toHaveLength(requests + 1)
  expect(executed()).toBe('')
}

test("pip's configuration is read, and a pip that downloads by itself is isolated too", async () => {
  const links = newFolder()
  const wheel = makeWheel(links, '1.0', { 'small/part': 'the part' })
  const index = await startIndex(links, wheel)
  const home = newFolder()
  const settings = `[global]\nindex-url = http://127.0.0.1:${index.port}/simple/\n`
  writeFiles(home, { '.config/pip/pip.conf': settings, 'pip.conf': settings })
  // each version has a folder of its own in the cache
  const pinOf = (version: string) => ({ version, unpackedBytes: 8, wheels: [{ ...wheel, take: 'small' }] })
  await fetchedThere(index, pinOf('1'), { HOME: home, XDG_CONFIG_HOME: path.join(home, '.config') })
  await fetchedThere(index, pinOf('2'), { PIP_CONFIG_FILE: path.join(home, 'pip.conf') }, [unknownPip()])
})
