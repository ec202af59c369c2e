import type { WeightFile } from '../containers/weight-file.js'
import { sequentialIndex } from './sequential.js'
import type { Source } from './source.js'
import { torchvision } from './torchvision.js'

/** torchvision's file of the same configuration without batch normalisation, by the number of convolutions. */
const without: Readonly<Record<number, string>> = {
  8: 'vgg11-8a719046.pth',
  10: 'vgg13-19584684.pth',
  13: 'vgg16-397923af.pth',
  16: 'vgg19-dcbb9e9d.pth',
}

const isMean = (name: string): boolean => name.endsWith('.running_mean')

/** torchvision's and timm's vgg11_bn to vgg19_bn, which are recognised and refused. */
export const batchNorm: Source = {
  ...torchvision,
  name: 'batch-norm',
  title: 'a VGG with batch normalisation',
  isRefused: true,
  names: (wanted) =>
    wanted.kind === 'linear' ? torchvision.names(wanted) : [`features.${sequentialIndex(wanted, 3)}.${wanted.part}`],
  refusal: ({ tensors }: Pick<WeightFile, 'tensors'>) => {
    const means = tensors.filter(({ name }) => isMean(name))
    const [mean] = means
    if (mean === undefined) return 'another layer stands between its convolutions and their ReLUs'
    const other = without[means.length]
    const cure = other === undefined ? 'use weights without it' : `use torchvision's ${other}`
    return `batch normalisation (${mean.name}) is a layer that does not exist yet: ${cure}`
  },
}
