import { caffe } from './caffe.js'
import type { Source } from './source.js'

const { classNames: _, ...shared } = caffe

/** D trained on 2622 faces: Parkhi, Vedaldi & Zisserman 2015. https://www.robots.ox.ac.uk/~vgg/software/vgg_face/ */
export const vggFace: Source = {
  ...shared,
  name: 'vgg-face',
  title: 'VGG-Face (Caffe)',
  licence: 'CC-BY-NC',
  pixels: { ...caffe.pixels, meanRgb: [129.1863, 104.7624, 93.594] },
  classes: 2622,
}
