import { cudaLibraryFiles, cudaPins, pins } from '../../platform/wheels/pins.mjs'
import { sizeText } from './progress.js'

/** What `vggnet cuda install --manual --json` prints. */
export interface Manual {
  cache: string
  libraries: {
    title: string
    /** To be fetched, by these names. */
    wheels: { requirement: string; file: string; bytes: number; sha256: string }[]
    /** What is needed of them; a name that ends in a dot stands for any further version. */
    folder: string
    files: string[]
  }[]
}

/** What has to be put where by hand. */
export function manualOf(cache: string): Manual {
  const libraries = cudaPins.map((name) => {
    const { title, wheels } = pins[name]
    const folder = `${wheels[0]?.take}/lib`
    return {
      title,
      wheels: wheels.map(({ requirement, file, bytes, sha256 }) => ({ requirement, file, bytes, sha256 })),
      folder,
      files: cudaLibraryFiles[name],
    }
  })
  return { cache, libraries }
}

const fileText = (name: string): string => (name.endsWith('.') ? `${name}*` : name)

/** The manual in words. */
export function manualText({ cache, libraries }: Manual): string {
  const wheels = libraries.flatMap(({ wheels }) =>
    wheels.flatMap(({ requirement, file, bytes, sha256 }) => [
      `  ${file}`,
      `    ${sizeText(bytes)}, of ${requirement}`,
      `    SHA-256 ${sha256}`,
    ]),
  )
  const files = libraries.flatMap(({ title, folder, files }) => [
    `  ${title}, from ${folder}:`,
    ...files.map((name) => `    ${fileText(name)}`),
  ])
  return [
    "NVIDIA's libraries by hand. Fetch these wheels where there is a network, from a",
    'Python package index (by `pip download --no-deps NAME==VERSION`, or a browser):',
    '',
    ...wheels,
    '',
    'Put them into one folder here. Then, without Python or a network,',
    '',
    '  npx vggnet cuda install --from FOLDER',
    '',
    `checks them and unpacks them into ${cache}.`,
    '',
    'Or name the folders of libraries that lie elsewhere: VGGNET_CUDA_LIBRARIES=',
    'FOLDER:FOLDER in the environment. All of cuDNN must lie in one folder. These',
    'files are needed (a wheel is a zip):',
    '',
    ...files,
  ].join('\n')
}
