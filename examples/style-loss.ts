// The loss of neural style (Gatys et al. 2016, equations 1 to 7, with a term for smoothness) and its gradient, in one pass.
import { gramError, gramMatrices, squaredError, Tensor, totalVariation, type VGG } from 'vggnet'

const styleLayers = ['relu1_1', 'relu2_1', 'relu3_1', 'relu4_1', 'relu5_1'] as const

/**
 * Returns the function that computes the loss of pixels, float32 [3, height, width], and its gradient.
 * @param content image whose features at relu4_2 are kept, [1, height, width, 3]
 * @param style image whose Gram matrices are taken, of the same size
 * @param weight factor of the loss of the style
 */
export async function styleLoss(
  net: VGG,
  content: Tensor,
  style: Tensor,
  weight: number,
): Promise<(pixels: Float32Array) => Promise<{ loss: number; gradient: Float32Array }>> {
  const [, height = 0, width = 0] = content.shape
  const { relu4_2: kept } = await net.features(content, ['relu4_2'])
  const styles = await net.features(style, styleLayers)
  const grams = new Map<string, Tensor<'float32'>>()
  for (const layer of styleLayers) grams.set(layer, await gramMatrices(styles[layer]))
  return async (pixels) => {
    const image = Tensor.from(pixels, [1, 3, height, width])
    let sum = 0
    const counted = async (term: ReturnType<typeof squaredError>): Promise<Tensor<'float32'>> => {
      const { loss, gradient } = await term
      sum += loss
      return gradient
    }
    type Values = Record<string, Tensor<'float32'>>
    const ofStyle = (layer: string) => (values: Values) =>
      counted(gramError(values[layer] as Tensor, grams.get(layer) as Tensor, { reduction: 'sum', weight }))
    const cotangents = {
      relu4_2: (values: Values) => counted(squaredError(values.relu4_2 as Tensor, kept)),
      ...Object.fromEntries(styleLayers.map((layer) => [layer, ofStyle(layer)])),
    }
    const found = await net.vjp(image, cotangents, { wrt: ['image'] })
    const smooth = await totalVariation(image, { weight: 1e-3 })
    const [inside, between] = [await found.image.data(), await smooth.gradient.data()]
    return { loss: sum + smooth.loss, gradient: inside.map((value, index) => value + (between[index] ?? 0)) }
  }
}
