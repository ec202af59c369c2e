import path from 'node:path'
import { type Command, Option } from 'commander'
import pc from 'picocolors'
import { openGroup } from '../../group/group.js'
import { bytesText, countedText } from '../../table.js'
import { type CudaExamination, type DeviceCheck, examineCuda, examineCudaApart } from '../doctor/devices.js'
import type { Diagnosis } from '../doctor/diagnoses.js'
import { type Distribution, examineGroup } from '../doctor/distributed.js'
import { type Examination, examine } from '../doctor/examination.js'
import { inGroup } from '../terminal/group.js'
import { print, printJson } from '../terminal/print.js'
import { section, tuningFacts } from '../terminal/sections.js'

const examples = `
Include the output in bug reports. Exit code 0 where each device that this
installation supports works, else 1.

Examples:
  $ vggnet doctor
  $ vggnet doctor --json
  $ mpirun -n 4 node_modules/.bin/vggnet doctor --distributed`

/** Adds `vggnet doctor`: examines machine and installation. */
export function addDoctor(program: Command): void {
  program
    .command('doctor')
    .description('examine machine and installation: devices, libraries, versions, problems')
    .option('--json', 'one JSON object')
    .option('--distributed', 'examine the ranks of a launcher: MPI, hosts, threads, bandwidth of a sum')
    .addOption(new Option('--only-cuda').hideHelp())
    .addHelpText('after', examples)
    .action(async (flags: { json?: true; distributed?: true; onlyCuda?: true }) => {
      if (flags.onlyCuda) return printJson(await examineCuda())
      if (flags.distributed) return examineDistributed(flags.json === true)
      const found = await examine(() => examineCudaApart(['doctor', '--only-cuda']))
      if (flags.json) printJson(found, 2)
      else print(text(found, process.stdout.columns || 80))
      process.exitCode = found.works ? 0 : 1
    })
}

/** Rank 0 prints for all. */
async function examineDistributed(json: boolean): Promise<void> {
  const group = await openGroup()
  await inGroup(group, async () => {
    const found = await examineGroup(group)
    if (group.rank > 0) return
    if (json) printJson(found, 2)
    else print(distributionText(found, process.stdout.columns || 80))
  })
}

function distributionText({ library, version, ranks, sums, diagnoses }: Distribution, width: number): string {
  const sections: [string, string[]][] = [
    ['MPI', [version ?? 'none in use', library ?? '']],
    ...ranks.map(({ rank, host, pid, processors, online, threads }): [string, string[]] => [
      `rank ${rank}`,
      [
        `${host}, process ${pid}, ${processors} of ${countedText(online, 'processor')}, ${countedText(threads, 'thread')}`,
      ],
    ]),
    ...sums.map(({ bytes, bytesPerSecond }, index): [string, string[]] => [
      index === 0 ? 'sums' : '',
      [`${bytesText(bytes)}: ${bytesText(bytesPerSecond)}/s`],
    ]),
  ]
  const lines = sections.map(([title, facts]) => section(title, facts, width))
  return [...lines, '', ...diagnoses.map((diagnosis) => diagnosisText(diagnosis, width))].join('\n')
}

/** CUDA's files by folder, as seven parts of cuDNN share one. */
function fileFacts({ files, searched }: Pick<CudaExamination, 'files' | 'searched'>): string[] {
  const folders = new Set(files.flatMap((file) => (file.path === '' ? [] : [path.dirname(file.path)])))
  const found = [...folders].map((folder) => {
    const names = files.filter((file) => path.dirname(file.path) === folder).map(({ name }) => name)
    return `${folder}: ${names.join(', ')}`
  })
  const missing = files.filter((file) => file.path === '')
  if (missing.length === 0) return found
  const names = missing.map(({ name, needed }) => (needed ? name : `${name} (optional: cuDNN is slower without it)`))
  return [...found, `missing: ${names.join(', ')}`, `searched: ${searched.join(', ')}`]
}

function deviceFacts({
  device,
  name,
  architecture,
  bytes,
  freeBytes,
  precision,
  works,
  obstacle,
}: DeviceCheck): string[] {
  if (name === '') return [pc.dim(obstacle.startsWith('device ') ? obstacle : `${device}: ${obstacle}`)]
  const result = works ? pc.green(`works in ${precision}`) : pc.red('does not work')
  return [`${device} ${result}: ${name}, ${architecture}, ${bytesText(bytes)}, ${bytesText(freeBytes)} free`, obstacle]
}

function processorFacts({ processor, addon }: Examination): string[] {
  const { name, processors, online, affinity, quota, instructionSets } = processor
  const budget = addon.threads > 0 ? `${countedText(addon.threads, 'thread')} by default` : ''
  const confined = processors < online ? `${processors} of ${online} (affinity ${affinity})` : ''
  return [
    [name, ...instructionSets].filter(Boolean).join(', '),
    [countedText(online, 'processor'), confined, quota === null ? '' : `control group limit ${quota}`, budget]
      .filter(Boolean)
      .join(', '),
  ]
}

function memoryFacts({ bytes, freeBytes, limitBytes }: Examination['memory']): string[] {
  const limit = limitBytes === null ? '' : `control group limit ${bytesText(limitBytes)}`
  return [[bytesText(bytes), `${bytesText(freeBytes)} free`, limit].filter(Boolean).join(', ')]
}

function addonFacts(addon: Examination['addon']): string[] {
  if (addon.obstacle !== '') return addon.obstacle.split('\n')
  const beside = addon.libraries.filter(({ name }) => !name.endsWith('node')).map(({ name }) => name)
  return [
    addon.path,
    `build ${addon.buildId}${addon.debug ? ' with sanitizers' : ''}, ${addon.compiler}, for ${addon.isa}`,
    `${addon.oneDnn}, libjpeg-turbo ${addon.libjpegTurbo.replace(/^\D*/, '')}; libraries: ${beside.join(', ')}`,
    ...addon.libraries.flatMap(({ name, fault }) => (fault === '' ? [] : [pc.red(`${name} ${fault}`)])),
  ]
}

const marks = {
  works: { title: 'works', paint: pc.green },
  fails: { title: 'fails', paint: pc.red },
  hint: { title: 'note', paint: pc.yellow },
} as const

/** Formats a diagnosis, with its fix on a new line. */
function diagnosisText({ kind, text: words, cure }: Diagnosis, width: number): string {
  const { title, paint } = marks[kind]
  return section(paint(title), [words, cure && `-> ${cure}`], width)
}

function text(found: Examination, width: number): string {
  const { system, paths, memory, addon, cuda, tuning, devices, diagnoses } = found
  const sections: [string, string[]][] = [
    ['vggnet', [`${found.vggnet}${paths.checkout ? ', a checkout' : ''}`, paths.root]],
    ['system', [`${system.name}, ${system.kernel} ${system.arch}, glibc ${system.glibc || 'none'}`]],
    ['Node', [`${system.node}, ${paths.node}`]],
    ['cache', [paths.cache, paths.cacheWritable ? '' : 'not writable', paths.cacheExposure && 'not private']],
    ['processor', processorFacts(found)],
    ['memory', memoryFacts(memory)],
    ['addon', addonFacts(addon)],
  ]
  if (tuning !== undefined) sections.push(['tuning', tuningFacts(tuning)])
  if (cuda !== undefined) {
    const { library, driver } = cuda
    const lies = library.obstacle.includes(library.path) ? '' : library.path
    const supports = driver.version && `CUDA ${driver.version}, ${cardsText(driver.cards)}, ${driver.path}`
    sections.push(
      ['CUDA', [lies, library.buildId && `build ${library.buildId}, ${library.versions}`, library.obstacle]],
      ['driver', [supports, driver.obstacle]],
      ['libraries', fileFacts(cuda)],
    )
  }
  devices.forEach((device, index) => {
    sections.push([index === 0 ? 'devices' : '', deviceFacts(device)])
  })
  const lines = sections.map(([title, facts]) => section(title, facts, width))
  return [...lines, '', ...diagnoses.map((diagnosis) => diagnosisText(diagnosis, width))].join('\n')
}

const cardsText = (count: number): string => `${count} ${count === 1 ? 'card' : 'cards'} visible`
