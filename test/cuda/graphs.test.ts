import { expect, test } from 'vitest'
import { type VariantLetter, variants } from '../../lib/vgg/variants.js'
import { newFolder } from '../setup/folder.js'
import { type Card, cards, type Planned, planned, type Run, restored } from './graphs/runs.js'

// VGGNET_GRAPHS=all: more cards, batches, sizes and precisions; half an hour.
const all = process.env.VGGNET_GRAPHS === 'all'

const letters = Object.keys(variants) as VariantLetter[]
const everyVariant = (rest: Partial<Run>): Run[] =>
  letters.map((variant) => ({
    variant,
    made: 224,
    images: 1,
    size: [rest.made ?? 224, rest.made ?? 224],
    precision: 'bf16',
    options: [],
    ...rest,
  }))
const onlyD = (rest: Partial<Run>): Run[] => everyVariant(rest).filter(({ variant }) => variant === 'D')

const inference = everyVariant({})
const smallInference = everyVariant({ made: 32 })
const training = everyVariant({ images: 256, options: ['training'] })
const smallTraining = everyVariant({ made: 32, images: 256, options: ['training'] })
const alternatives = onlyD({ images: 256, options: ['training', 'alternatives'] })
const more = [
  ...[64, 32].flatMap((images) => [
    ...everyVariant({ images, options: ['training'] }),
    ...everyVariant({ made: 32, images, options: ['training'] }),
  ]),
  ...(
    [
      [256, 256],
      [384, 384],
      [512, 512],
      [256, 341],
    ] as const
  ).flatMap((size) => onlyD({ size })),
  ...(['tf32', 'float32'] as const).flatMap((precision) => [
    ...onlyD({ precision }),
    ...onlyD({ precision, images: 64, options: ['training'] }),
    ...onlyD({ precision, size: [384, 384] }),
  ]),
  ...onlyD({ images: 64, options: ['training', 'deterministic'] }),
  ...onlyD({ images: 64, options: ['training', 'exact', 'image'] }),
]

const cases: { card: Card; runs: Run[] }[] = [
  {
    card: 'NVIDIA H200',
    runs: [...inference, ...smallInference, ...training, ...smallTraining, ...alternatives, ...(all ? more : [])],
  },
  // a card of sm_80 compiles for seconds what one of sm_90 has at once
  {
    card: 'NVIDIA A100',
    runs: [...inference, ...training, ...(all ? [...smallInference, ...smallTraining, ...more] : [])],
  },
  ...(all
    ? (['NVIDIA H100', 'GeForce RTX 4090'] as const).map((card) => ({
        card,
        runs: [...inference, ...smallInference, ...training, ...smallTraining, ...more],
      }))
    : []),
]

/** Graphs that have no kernel for sm_90, and why that is all right. */
const unsuited: { graph: RegExp; reason: string }[] = [
  { graph: / 7x7 /, reason: 'a window that slides in dense evaluation: cuDNN has nothing newer than sm_80 for it' },
  { graph: /^forward n1 c8 /, reason: 'a first layer of one image, which is bound by memory' },
  { graph: /float32/, reason: 'float32 has no tensor cores, and nothing else that is new in sm_90' },
]

const mebibytes = (bytes: number) => (bytes / 2 ** 20).toFixed(1).padStart(6)

function tableOf(graphs: readonly Planned[]): string {
  const width = Math.max(...graphs.map(({ graph }) => graph.length))
  const rows = [...graphs]
    .sort((a, b) => (a.graph < b.graph ? -1 : 1))
    .map(({ graph, plans, workspace, engine, kernel, heuristics, suited }) => {
      const where = heuristics === 'first' ? '' : ` (${heuristics})`
      const position = suited >= 0 ? `, sm_90 from plan ${suited}` : ''
      const code = kernel && ` ${kernel.replace('cudnn_generated_', '').slice(0, 70)}`
      return `${graph.padEnd(width)} ${String(plans).padStart(2)} plans, ${mebibytes(workspace)} MiB${position}: ${engine}${where}${code}`
    })
  return rows.join('\n')
}

test.each(cases)(
  '$card gets a plan for every convolution of the six nets',
  async ({ card, runs }) => {
    const folder = newFolder()
    const graphs = await planned(card, runs, folder)
    console.log(`${card}: ${graphs.length} graphs\n${tableOf(graphs)}`)
    expect(graphs.length).toBeGreaterThan(0)
    const refused = graphs.filter(({ plans }) => plans === 0)
    expect(refused.map(({ graph, layer, refusal }) => `${layer}: ${graph}: ${refusal.slice(0, 300)}`)).toEqual([])
    const large = graphs.filter(({ workspace, cap }) => workspace > cap)
    expect(large.map(({ graph, workspace, cap }) => `${graph}: ${workspace} bytes of ${cap}`)).toEqual([])
    // another process has them back as they were; all operands are found, and what is missing is cuDNN's handle
    const byGraph = (a: { graph: string }, b: { graph: string }) => (a.graph < b.graph ? -1 : 1)
    const seen = graphs.map(({ graph, workspace, bytes, hash, end }) => ({ graph, workspace, bytes, hash, end }))
    expect((await restored(card, runs, folder)).sort(byGraph)).toEqual(seen.sort(byGraph))
    for (const { graph, bytes, end } of seen) {
      expect(bytes, graph).toBeGreaterThan(1000)
      expect(end, graph).toMatch(/handle == __null/)
    }
    if (cards[card].capability !== 90) return
    const old = graphs.filter(({ suited, graph }) => suited < 0 && !unsuited.some((known) => known.graph.test(graph)))
    expect(old.map(({ graph, layer }) => `${layer}: ${graph}: no kernel for sm_90`)).toEqual([])
  },
  3_600_000,
)
