import type { Source, WantedTensor } from './source.js'
import { torchvision } from './torchvision.js'

/** The linear layers, of which the first two are convolutions: fc6 over the whole last feature map. */
const head = ['pre_logits.fc1', 'pre_logits.fc2', 'head.fc']

/** https://github.com/huggingface/pytorch-image-models/blob/main/timm/models/vgg.py; its weights are torchvision's. */
export const timm: Source = {
  ...torchvision,
  name: 'timm',
  title: "timm's VGG",
  names: (wanted: WantedTensor) =>
    wanted.kind === 'linear' ? [`${head[wanted.index]}.${wanted.part}`] : torchvision.names(wanted),
}
