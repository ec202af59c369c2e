import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))
const folders = ['native', 'lib', 'test', 'bench', 'scripts', 'examples', 'docs']
const longest = 300

interface SourceFile {
  /** Path from the root, with slashes. */
  readonly path: string
  readonly text: string
}

const sources = folders.flatMap(sourcesUnder)
const native = sources.filter((file) => file.path.startsWith('native/') && /\.(cpp|hpp|cu)$/.test(file.path))
const scripts = sources.filter((file) => /\.[cm]?[jt]s$/.test(file.path))
const lib = scripts.filter((file) => file.path.startsWith('lib/'))

describe('native', () => {
  // arrows point down this list only
  const order = ['addon', 'loss', 'image', 'network', 'backend', 'group', 'layer', 'tensor']
  const includes = native.flatMap((file) =>
    [...file.text.matchAll(/^\s*#\s*include\s*(["<])([^">]+)[">]/gm)].map(([, quote, name]) => {
      return { from: file.path, name, own: quote === '"' }
    }),
  )
  const ownIncludes = includes
    .filter(({ own }) => own)
    .map(({ from, name }) => ({ from, name, to: includedFile(name, from) }))

  test('has files, each in a folder of the order', () => {
    expect(native.length).toBeGreaterThan(0)
    expect(native.map((file) => file.path).filter((name) => !order.includes(name.split('/')[1]))).toEqual([])
  })

  test('includes existing files by paths from native/', () => {
    const lost = ownIncludes.filter(({ to }) => to === undefined)
    expect(lost.map(({ from, name }) => `${from} includes "${name}", which is not a file under native/`)).toEqual([])
  })

  test('includes nothing upward', () => {
    const rank = (file: string) => order.indexOf(file.split('/')[1])
    const upward = ownIncludes.filter(({ from, to = from }) => rank(to) < rank(from))
    expect(upward.map(({ from, name }) => `${from} includes ${name}: only ${order.join(' > ')}`)).toEqual([])
  })

  test.each([
    { library: 'Node-API', headers: /^(napi|node_api|js_native_api|node|v8|uv)\b/, home: 'native/addon/' },
    { library: 'oneDNN', headers: /^(oneapi\/dnnl|dnnl|omp\.h)/, home: 'native/backend/cpu/' },
    {
      library: 'CUDA',
      headers: /^(cuda|cudnn|cublas|curand|nccl|nvrtc|nvtx|cooperative_groups)/,
      home: 'native/backend/cuda/',
    },
    { library: 'MPI', headers: /^mpi\.h/, home: 'native/group/shim/' },
  ])('$library stays in $home', ({ library, headers, home }) => {
    const strangers = includes.filter(({ from, name }) => headers.test(name) && !from.startsWith(home))
    expect(strangers.map(({ from, name }) => `${from} includes <${name}>: ${library} belongs in ${home}`)).toEqual([])
  })

  test('TurboJPEG is used in image/jpeg.cpp only', () => {
    const users = native.filter((file) => /image\/turbojpeg\.hpp|\btj3\w+\(/.test(file.text))
    expect(users.map((file) => file.path).sort()).toEqual(['native/image/jpeg.cpp', 'native/image/turbojpeg.hpp'])
  })

  // Other files compile without these headers, and the frontend's take half a minute.
  test('cuDNN, cuBLAS and NVRTC are included in source files only, the cuDNN frontend in one', () => {
    const users = includes.filter(({ name }) => /^(cudnn|cublas|nvrtc)/.test(name))
    const others = users.filter(({ from }) => !/^native\/backend\/cuda\/\w+\.cpp$/.test(from))
    expect(others.map(({ from, name }) => `${from} includes <${name}>: only a .cpp may`)).toEqual([])
    const ofFrontend = new Set(users.filter(({ name }) => name.startsWith('cudnn_frontend')).map(({ from }) => from))
    expect(ofFrontend.size, [...ofFrontend].join(', ')).toBeLessThanOrEqual(1)
  })

  test('only backend/open.cpp includes a device from outside', () => {
    const device = (file: string) => /^native\/backend\/(cpu|cuda)\//.exec(file)?.[0]
    const strangers = ownIncludes.filter(({ from, to }) => {
      return (
        to !== undefined &&
        device(to) !== undefined &&
        device(from) !== device(to) &&
        from !== 'native/backend/open.cpp'
      )
    })
    expect(strangers.map(({ from, name }) => `${from} includes ${name}: go through backend/backend.hpp`)).toEqual([])
  })

  function includedFile(name: string, from: string): string | undefined {
    return [path.posix.join('native', name), path.posix.join(path.posix.dirname(from), name)].find((candidate) =>
      existsSync(path.join(root, candidate)),
    )
  }
})

describe('lib', () => {
  // Arrows point down this list only. A file with its own entry counts as a folder; '' is the files beside index.ts.
  const order = [
    ...['cli', 'cli/commands', 'cli/doctor', 'cli/flags', 'cli/terminal'],
    ...[
      'run',
      'report',
      'explain',
      'probe',
      'embed',
      'check',
      'measure',
      'train',
      'losses',
      'evaluate',
      'weights/verify',
      'weights',
      'weights/hub',
      'weights/sources',
      'weights/containers',
      'checkpoint',
      'vgg',
    ],
    ...['data/cache', 'data/sources', 'data', 'data/images', 'network', 'group'],
    ...['files', 'platform/cuda', 'platform', 'platform/load', 'platform/package.ts'],
    ...['platform/wheels', ''],
  ]
  const folderOf = (file: string) => path.posix.dirname(file).split('/').slice(1).join('/')
  const roomOf = (file: string) =>
    [`${folderOf(file)}/${path.posix.basename(file)}`, folderOf(file)].find((room) => order.includes(room))
  const rank = (file: string) => order.indexOf(roomOf(file) ?? '')
  const imports = lib.flatMap((file) => importsOf(file).map((to) => ({ from: file.path, to })))

  test('has files, each in a folder of the order', () => {
    expect(lib.length).toBeGreaterThan(0)
    expect(lib.map((file) => file.path).filter((name) => roomOf(name) === undefined)).toEqual([])
    const rooms = new Set(lib.map((file) => roomOf(file.path)))
    expect(order.filter((room) => !rooms.has(room))).toEqual([])
  })

  test('imports downwards or within one folder', () => {
    const wrong = imports
      .filter(({ from, to }) => from !== 'lib/index.ts' && to.startsWith('lib/'))
      .filter(({ from, to }) => rank(to) < rank(from) || to === 'lib/index.ts')
    expect(wrong.map(({ from, to }) => `${from} imports ${to}: only ${order.join(' > ')}`)).toEqual([])
  })

  // Within each folder, a file is a node of the graph, and so is a subfolder with all its files.
  test('has no folder in a cycle of imports', () => {
    const cycles = foldersOf(lib).flatMap((folder) => {
      const childOf = (file: string) => file.slice(0, `${file}/`.indexOf('/', folder.length + 1))
      const graph = new Map<string, string[]>()
      for (const { from, to } of imports) {
        if (![from, to].every((file) => file.startsWith(`${folder}/`))) continue
        const known = graph.get(childOf(from)) ?? []
        if (childOf(from) !== childOf(to) && !known.includes(childOf(to)))
          graph.set(childOf(from), [...known, childOf(to)])
      }
      return cyclesOf(graph)
    })
    expect(cycles.map((cycle) => cycle.join(' -> '))).toEqual([])
  })

  test('has in platform/wheels/ only files that run before packages and builds exist, for the set-up', () => {
    const wheels = lib.filter((file) => folderOf(file.path) === 'platform/wheels')
    expect(wheels.length).toBeGreaterThan(0)
    const wrong = wheels.flatMap((file) => [
      ...(file.path.endsWith('.mjs') ? [] : [`${file.path} needs a build: plain JavaScript with types in JSDoc`]),
      ...[...withoutComments(file.text).matchAll(/\bfrom '([^.'][^']*)'/g)]
        .filter(([, from]) => !from.startsWith('node:'))
        .map(([, from]) => `${file.path} imports ${from}, which is not installed yet`),
    ])
    expect(wrong).toEqual([])
    const compiled = lib.filter((file) => file.path.endsWith('.mjs') && folderOf(file.path) !== 'platform/wheels')
    expect(compiled.map((file) => file.path)).toEqual([])
  })

  test('imports no tests, bench, scripts or examples', () => {
    const wrong = lib.flatMap((file) =>
      importsOf(file)
        .filter((to) => !to.startsWith('lib/'))
        .map((to) => `${file.path} imports ${to}, which is not in the package`),
    )
    expect(wrong).toEqual([])
  })

  test('imports files that exist', () => {
    const lost = lib.flatMap((file) =>
      importsOf(file)
        .filter((to) => !existsSync(path.join(root, to)))
        .map((to) => `${file.path} imports ${to}, which is not there`),
    )
    expect(lost).toEqual([])
  })

  test('loads the binary in lib/platform/native.ts only', () => {
    const loaders = lib.filter((file) => /node-gyp-build|\.node['"`]|\bdlopen\b|bindings\(/.test(file.text))
    expect(loaders.map((file) => file.path)).toEqual(['lib/platform/native.ts'])
  })

  test('has only re-exports in index.ts', () => {
    const index = lib.find((file) => file.path === 'lib/index.ts')
    expect(index, 'lib/index.ts is missing').toBeDefined()
    const rest = withoutComments(index?.text ?? '')
      .replace(/^import '\.\/platform\/load\/node-check\.js'$/m, '')
      .replaceAll(/^export (type )?(\*( as \w+)?|\{[^}]*\}) from '[^']+';?$/gm, '')
    expect(rest.trim(), 'lib/index.ts holds more than the check of Node and `export { ... } from`').toBe('')
  })
})

describe('every file', () => {
  test(`has at most ${longest} lines`, () => {
    const long = sources
      .map((file) => ({ name: file.path, lines: file.text.replace(/\n$/, '').split('\n').length }))
      .filter(({ lines }) => lines > longest)
    expect(long.map(({ name, lines }) => `${name} has ${lines} lines: divide it by what it does`)).toEqual([])
  })

  test('is named after its content', () => {
    const empty = /^(utils?|common|core|helpers?|misc|types?|managers?)$/
    const wrong = sources.flatMap((file) =>
      file.path
        .split('/')
        .filter((part) => part.split(/[-_.]/).some((word) => empty.test(word)))
        .map((part) => `${file.path}: '${part}' says nothing about its content`),
    )
    expect(wrong).toEqual([])
  })

  test('is in snake_case under native, in kebab-case elsewhere', () => {
    const wrong = [
      ...native.filter((file) => !/^[a-z0-9_]+\.\w+$/.test(path.posix.basename(file.path))),
      ...scripts.filter((file) => !/^[a-z0-9-]+(\.[a-z]+)+$/.test(path.posix.basename(file.path))),
    ]
    expect(wrong.map((file) => file.path)).toEqual([])
  })

  test('exports by name', () => {
    const wrong = scripts.filter((file) => /^export\s+default\b|^export\s*\{[^}]*\bas\s+default\b/m.test(file.text))
    expect(wrong.map((file) => `${file.path} has a default export`)).toEqual([])
  })

  test('is not in a cycle of imports', () => {
    const graph = new Map(scripts.map((file) => [file.path, importsOf(file)]))
    expect(cyclesOf(graph).map((cycle) => cycle.join(' -> '))).toEqual([])
  })
})

function sourcesUnder(folder: string): SourceFile[] {
  if (!existsSync(path.join(root, folder))) return []
  return readdirSync(path.join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const name = `${folder}/${entry.name}`
    if (entry.isDirectory())
      return /^(node_modules|dist|build|golden|__pycache__)$/.test(entry.name) ? [] : sourcesUnder(name)
    if (!/\.(cpp|hpp|h|cu|cuh|[cm]?[jt]s|py|sh|cmake)$/.test(entry.name)) return []
    return [{ path: name, text: readFileSync(path.join(root, name), 'utf8') }]
  })
}

/** The folders of the files, each once. */
function foldersOf(files: readonly SourceFile[]): string[] {
  return [...new Set(files.map((file) => path.posix.dirname(file.path)))].sort()
}

/** Files of this repository that a script imports or re-exports, types included, as paths from the root. */
function importsOf(file: SourceFile): string[] {
  const text = withoutComments(file.text)
  const statements = text.matchAll(
    /^\s*(?:import|export)\b[^;'"`]*?\bfrom\s*['"]([^'"]+)['"]|\bimport\s*\(?\s*['"]([^'"]+)['"]/gm,
  )
  return [...statements]
    .map(([, from, bare]) => from ?? bare)
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => {
      const target = path.posix.join(path.posix.dirname(file.path), specifier)
      const source = target.replace(/js$/, 'ts')
      return existsSync(path.join(root, source)) ? source : target
    })
}

function withoutComments(text: string): string {
  return text.replaceAll(/^\s*\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '')
}

/** Each cycle once, as a list of files. */
function cyclesOf(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const cycles: string[][] = []
  const done = new Set<string>()
  const visit = (file: string, trail: readonly string[]) => {
    const start = trail.indexOf(file)
    if (start !== -1) cycles.push([...trail.slice(start), file])
    if (start !== -1 || done.has(file)) return
    for (const next of graph.get(file) ?? []) visit(next, [...trail, file])
    done.add(file)
  }
  for (const file of graph.keys()) visit(file, [])
  return cycles
}
