// Where the time of a training step goes: each stage alone and uncaptured, beside the least time it can take.
import { describe, type Tensor, type VGG } from '../lib/index.js'
import { type Ceilings, layerWorks, leastSeconds, type Stored, type Work } from './roofline.js'

export interface Pass {
  readonly milliseconds: number
  readonly teraflopsPerSecond: number
  readonly terabytesPerSecond: number
  /** Least time over time, where the ceilings are known. */
  readonly share?: number
}

export interface StageRow {
  readonly name: string
  readonly forward: Pass
  /** Both gradients; absent where there is nothing to do. */
  readonly backward?: Pass
}

type Profile = Awaited<ReturnType<VGG['profile']>>

/** A stage that reaches less of its own least time is marked. */
export const poorShare = 0.4

export function passOf(milliseconds: number, works: readonly Work[], ceilings: Ceilings | undefined): Pass {
  const total = (part: 'flops' | 'bytes') => works.reduce((sum, work) => sum + work[part], 0)
  const perSecond = (amount: number) => amount / (milliseconds / 1000) / 1e12
  const pass = {
    milliseconds,
    teraflopsPerSecond: perSecond(total('flops')),
    terabytesPerSecond: perSecond(total('bytes')),
  }
  if (ceilings === undefined || works.length === 0) return pass
  return { ...pass, share: (1000 * leastSeconds(works, ceilings)) / milliseconds }
}

/** A stage's least milliseconds of several profiles. */
export async function bestProfile(net: Pick<VGG, 'profile'>, images: Tensor, rounds: number): Promise<Profile> {
  const profiles: Profile[] = []
  for (let round = 0; round < rounds; round++) profiles.push(await net.profile(images))
  return (profiles[0] ?? []).map((stage, index) => {
    const best = (part: 'forwardMs' | 'backwardMs') => Math.min(...profiles.map((rows) => rows[index]?.[part] ?? 0))
    return { ...stage, forwardMs: best('forwardMs'), backwardMs: best('backwardMs') }
  })
}

/** Where the time of each stage goes. */
export async function stageRows(
  net: VGG,
  images: Tensor,
  stored: Stored,
  ceilings: Ceilings | undefined,
  rounds: number,
): Promise<StageRow[]> {
  const [batch = 0, height = 0, width = 0] = images.shape
  const { layers } = describe({ layers: net.layers, shape: [batch, net.channels, height, width], device: 'cpu' })
  const works = new Map(layerWorks(layers, stored, 'training').map((work) => [work.name, work]))
  return (await bestProfile(net, images, rounds)).map(({ name, forwardMs, backwardMs }) => {
    // 'conv1_2+pool1' is one stage of two layers
    const parts = name.split('+').flatMap((layer) => works.get(layer) ?? [])
    const passes = (direction: 'forward' | 'backward') => parts.flatMap((part) => part[direction])
    const forward = passOf(forwardMs, passes('forward'), ceilings)
    if (backwardMs === 0) return { name, forward }
    return { name, forward, backward: passOf(backwardMs, passes('backward'), ceilings) }
  })
}
