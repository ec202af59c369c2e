// The findings of `gpu-check --part first` as text of under 10,000 characters.
import { readFileSync } from 'node:fs'

const { cases } = JSON.parse(readFileSync(new URL('expected.json', import.meta.url), 'utf8'))
export const mostCharacters = 9_800
const [lineCharacters, mostFailures, mostErrors] = [190, 12, 3]

const fixed = (value, digits = 2) => (Number.isFinite(value) ? value.toFixed(digits) : '?')
const total = (values) => values.reduce((sum, value) => sum + value, 0)
const oneLine = (text) => String(text).replaceAll(/\s+/g, ' ').trim()

/** The least time of each stage over several profiles. */
function leastStages(profiles) {
  return (profiles[0] ?? []).map((stage, index) => ({
    ...stage,
    forwardMs: Math.min(...profiles.map((rows) => rows[index].forwardMs)),
    backwardMs: Math.min(...profiles.map((rows) => rows[index].backwardMs)),
  }))
}

/** Milliseconds of groups of stages, as expected.json names them. */
function grouped(stages, stepMs) {
  const sum = (pattern, ...parts) =>
    total(stages.filter(({ name }) => pattern.test(name)).flatMap((stage) => parts.map((part) => stage[part])))
  return {
    input: sum(/^input/, 'forwardMs'),
    'convolutions and pools, forward': sum(/^conv/, 'forwardMs'),
    'convolutions and pools, backward': sum(/^conv/, 'backwardMs'),
    'linear layers and loss': sum(/^(fc|loss)/, 'forwardMs', 'backwardMs'),
    'update, and between stages and steps': stepMs - sum(/./, 'forwardMs', 'backwardMs'),
    step: stepMs,
  }
}

/** What was expected of a case, if anything was. */
const expectedOf = (benchCase) =>
  cases.find(({ case: wanted }) => Object.entries(wanted).every(([name, value]) => benchCase[name] === value))

function stageLines(stages, stepMs, expected) {
  const rates = ({ name, forwardMs, backwardMs, multiplyAdds }, index) => {
    // the first convolution has no input gradient
    const passes = index === 1 ? 1 : 2
    const rate = (ms, count) => (ms > 0 && multiplyAdds > 0 ? fixed((2 * count * multiplyAdds) / ms / 1e9, 0) : '')
    const columns = [fixed(forwardMs, 3), rate(forwardMs, 1), fixed(backwardMs, 3), rate(backwardMs, passes)]
    return `  ${name.padEnd(16)}${columns.map((column) => column.padStart(9)).join('')}`
  }
  return [
    `  ${'ms'.padEnd(38)}${'measured'.padStart(10)}${'floor'.padStart(8)}${'expected'.padStart(13)}`,
    ...Object.entries(grouped(stages, stepMs)).map(([stage, ms]) => {
      const known = expected?.stages.find((row) => row.stage === stage)
      const columns = known ? [fixed(known.floor).padStart(8), known.expected.join(' to ').padStart(13)] : []
      return `  ${stage.padEnd(38)}${fixed(ms).padStart(10)}${columns.join('')}`
    }),
    `  ${'stage alone'.padEnd(16)}${['ms', 'TFLOP/s', 'backward', 'TFLOP/s'].map((head) => head.padStart(9)).join('')}`,
    ...stages.map(rates),
  ]
}

function networkLines(findings) {
  const last = (name) => findings.findLast((finding) => finding.name === name)
  const benchCase = last('case')
  if (!benchCase) return []
  const { variant, imageSize, batch, precision, mode } = benchCase
  const expected = expectedOf(benchCase)
  const lines = [`  ${variant} ${imageSize}x${imageSize}, batch ${batch}, ${precision}, ${mode}`]
  const [ready, queued, alone] = ['ready', 'queued', 'one by one'].map(last)
  if (ready) lines.push(`  first result after ${fixed(ready.seconds, 1)} s`)
  if (queued) {
    const rate = `${fixed(queued.imagesPerSecond, 1)} images/s`
    const bounds = ['floor', 'goal'].filter((name) => expected?.[name]).map((name) => `; ${name} ${expected[name]} ms`)
    lines.push(`  queued: ${fixed(queued.ms, 3)} ms (least ${fixed(queued.leastMs, 3)}), ${rate}${bounds.join('')}`)
  }
  if (alone && queued) {
    lines.push(
      `  one by one: ${fixed(alone.ms, 3)} ms; the queue hides ${fixed(alone.ms - queued.ms, 3)} ms of the host`,
    )
  }
  const profiles = findings.filter(({ name }) => name === 'stages').map(({ rows }) => rows)
  if (profiles.length > 0 && queued) {
    const stages = leastStages(profiles)
    const sum = total(stages.map(({ forwardMs, backwardMs }) => forwardMs + backwardMs))
    lines.push(`  sum of the stages ${fixed(sum, 3)} ms; captured step less that sum ${fixed(queued.ms - sum, 3)} ms`)
    lines.push(...stageLines(stages, queued.ms, expected))
  }
  const smaller = last('smaller batch')
  if (smaller) lines.push(`  then the first batch of ${smaller.batch}: ${fixed(smaller.ms, 1)} ms`)
  const used = last('memory')
  if (used) lines.push(`  memory in use ${fixed(used.usedMegabytes, 0)} MB`)
  const { name, part, ...state } = last('clocks under load') ?? {}
  if (name) lines.push(`  under load: ${Object.values(state).join(', ')}`)
  return lines
}

function smokeLines(findings) {
  return findings
    .filter(({ name, loss }) => name === 'small net' && loss !== undefined)
    .slice(0, 1)
    .map(({ variant, precision, device, loss, seconds, card, versions }) => {
      const memory = card && `${card.name} ${card.architecture}, ${fixed(card.bytes / 2 ** 30, 1)} GiB`
      return `  ${variant} ${precision} on ${device} (${memory}; ${versions}): loss ${fixed(loss, 4)}, ${fixed(seconds, 1)} s`
    })
}

function torchLines(findings, ours) {
  const last = (name) => findings.findLast((finding) => finding.name === name)
  const [absent, versions, ceilings, ready] = ['absent', 'versions', 'ceilings', 'ready'].map(last)
  const lines = absent ? [`  ${absent.said}`] : []
  if (versions) lines.push(`  PyTorch ${versions.torch}, cuDNN ${versions.cudnn}`)
  if (ceilings) lines.push(`  ceilings: ${fixed(ceilings.tflops, 0)} TFLOP/s, ${fixed(ceilings.terabytes)} TB/s`)
  const rounds = findings.filter(({ name }) => name === 'round').map(({ ms }) => ms)
  if (rounds.length > 0) {
    const middle = rounds.sort((a, b) => a - b)[Math.floor(rounds.length / 2)]
    const ratio = ours ? `; vggnet ${fixed(middle / ours.ms)}x (not interleaved)` : ''
    lines.push(`  torch.${ready.way}: ready in ${fixed(ready.seconds, 1)} s, ${fixed(middle, 3)} ms${ratio}`)
  }
  return lines
}

function testLines(findings) {
  const results = findings.filter(({ state, file }) => state && file !== undefined)
  if (results.length === 0) return []
  const count = (wanted) => results.filter(({ state }) => state === wanted).length
  const failures = results.filter(({ state }) => state === 'failed')
  return [
    `  ${count('passed')} passed, ${failures.length} failed, ${count('skipped')} skipped`,
    ...failures
      .slice(0, mostFailures)
      .map(({ file, name, error }) => `  x ${file.split('/').at(-1)} > ${name.slice(-70)}: ${oneLine(error)}`),
    ...(failures.length > mostFailures ? [`  and ${failures.length - mostFailures} more`] : []),
  ]
}

function planCounts(plans) {
  if (plans.length === 0) return []
  const tried = plans.filter(({ chosen }) => !chosen)
  const choices = plans.filter(({ chosen }) => chosen)
  const counts = [
    `${new Set(plans.map(({ graph }) => graph)).size} graphs`,
    `${tried.length} plans tried`,
    `${tried.filter(({ refused }) => refused).length} refused`,
    `${fixed(total(tried.map(({ build_s: seconds = 0 }) => seconds)), 1)} s of builds`,
    `${fixed(total(choices.map(({ seconds = 0 }) => seconds)), 1)} s of choices`,
  ]
  const reasons = new Map()
  for (const { refused } of tried) {
    const reason = refused && oneLine(refused).replaceAll(/\d[\d.]*(e[+-]?\d+)?/g, 'N')
    if (reason) reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
  }
  const most = [...reasons].sort((a, b) => b[1] - a[1]).slice(0, 4)
  return [`  ${counts.join(', ')}`, ...most.map(([reason, times]) => `  refused ${times}x: ${reason}`)]
}

/** What was chosen for each graph, the slowest first. */
function planLines(plans) {
  const chosen = plans.filter((plan) => plan.chosen).sort((a, b) => (b.ms ?? 0) - (a.ms ?? 0))
  const lines = chosen.map(({ graph, plan, alternative, source, ms, tflops, error, searched, offered }) => {
    const figures = `${fixed(ms, 3)} ms, ${fixed(tflops, 0)} TFLOP/s, error ${error?.toExponential(1) ?? '?'}`
    return `  ${graph}: ${figures}, ${[plan, alternative, source].filter(Boolean).join(' ')}, ${searched ?? '?'} of ${offered ?? '?'}`
  })
  return lines.length > 0 ? ['chosen for training:', ...lines] : []
}

function stateLine({ name }, result) {
  if (!result) return `${name}: no end until now`
  return `${name}: ${result.state}, ${fixed(result.seconds, 1)} of ${fixed(result.limit, 0)} s`
}

function errorLines(findings, result) {
  const errors = findings.filter(({ name, error }) => error && (name === 'error' || name === 'small net'))
  const output = result?.error ? [`  output: ...${oneLine(result.error).slice(-150)}`] : []
  return [...errors.slice(-mostErrors).map(({ error }) => `  ${oneLine(error)}`), ...output]
}

/** The lines as far as there is room for them. */
function fitted(lines) {
  const end = 'more in first.jsonl'
  let text = ''
  for (const [index, line] of lines.entries()) {
    const short = line.slice(0, lineCharacters)
    if (text.length + short.length + end.length + 10 > mostCharacters) return `${text}${lines.length - index} ${end}\n`
    text += `${short}\n`
  }
  return text
}

/**
 * How every part ended, then what each found, then what was chosen for training.
 * @param {{ machine: object, parts: { name: string }[], findings: object[],
 *   results: { part: string, state: string, seconds: number, limit: number, error?: string }[] }} what
 */
export function summaryOf({ machine, parts, findings, results }) {
  const of = (part) => findings.filter((finding) => finding.part === part && finding.name !== 'plan')
  const plansOf = (part) => findings.filter((finding) => finding.part === part && finding.name === 'plan')
  const resultOf = (part) => results.find((result) => result.part === part)
  const ours = of('training').findLast(({ name }) => name === 'queued')
  const values = Object.entries(machine).map((entry) => entry.join(' '))
  const lines = [`first: ${values.join(', ')}`, ...parts.map((part) => stateLine(part, resultOf(part.name)))]
  for (const { name } of parts) {
    const found = of(name)
    const about = [
      ...[...smokeLines(found), ...networkLines(found), ...torchLines(found, ours), ...testLines(found)],
      ...errorLines(found, resultOf(name)),
      ...planCounts(plansOf(name)),
    ]
    if (about.length > 0) lines.push(`${name}:`, ...about)
  }
  return fitted([...lines, ...planLines(plansOf('training'))])
}
