import { percent } from '../train/log.js'
import { type Html, html, named } from './html.js'
import type { EmbeddedImage, FilterImage } from './image-data.js'
import { bar } from './page-confusion.js'

/** A mistake as the page shows it. */
export interface ShownMistake {
  readonly image: EmbeddedImage
  /** Of the file. */
  readonly name: string
  readonly truth: string
  readonly answer: string
  /** 0 to 1. */
  readonly probability: number
  readonly truthProbability: number
}

/** The first layer as the page shows it. */
export interface ShownFilters {
  /** Of the parameter: 'conv1_1.weight'. */
  readonly name: string
  readonly channels: number
  readonly images: readonly FilterImage[]
}

/** Below this an image is enlarged with its pixels seen. */
const small = 96

/** A path below the folder of the data, without that folder. */
function within(name: string, data: string | undefined): string {
  const folder = `${data?.replace(/\/+$/, '')}/`
  return data && name.startsWith(folder) ? name.slice(folder.length) : name
}

/**
 * The images about which the network was most sure, and wrong. Pure.
 * @param data the folder of the images, which their names begin with
 */
export function mistakes(shown: readonly ShownMistake[], data: string | undefined): Html {
  if (shown.length === 0)
    return html`<section><h2>Mistakes</h2><p class="none">None: every image was classified correctly.</p></section>`
  const figures = shown.map(({ image, name, truth, answer, probability, truthProbability }) => {
    const look = Math.max(image.width, image.height) <= small && html` class="pixels"`
    const figure = html`<img${look} src="${image.uri}" width="${image.width}" height="${image.height}" alt="${name}: ${truth}, classified as ${answer}">`
    return html`<figure class="mistake"><div class="frame">${figure}</div><figcaption><dl>
<dt>answer</dt><dd class="share">${percent(probability)}</dd><dd class="class">${named(answer)}</dd><dd class="line">${bar(probability, 'wrong')}</dd>
<dt>true</dt><dd class="share">${percent(truthProbability)}</dd><dd class="class">${named(truth)}</dd><dd class="line">${bar(truthProbability, 'right')}</dd></dl>
<p class="file" title="${name}">${named(within(name, data))}</p></figcaption></figure>`
  })
  return html`<section><h2>Most confident mistakes</h2><p class="note">Images as the network received them, with the probabilities of its answer and of the true class.</p><div class="mistakes">${figures}</div></section>`
}

/** The windows of the first layer. Pure. */
export function filters({ name, channels, images }: ShownFilters): Html {
  const figures = images.map(
    ({ uri, width, height, largest }, index) =>
      html`<img class="pixels" src="${uri}" width="${width}" height="${height}" alt="filter ${index + 1}" title="filter ${index + 1}: largest weight ${largest.toPrecision(2)}">`,
  )
  const colours =
    channels === 3 ? 'red, green and blue are the weights of these channels' : 'bright is above 0, dark below'
  return html`<section><h2>First-layer filters</h2><p class="note"><code>${name}</code>, ${images.length} windows, each scaled by its own largest weight: mid-grey is 0; ${colours}.</p><div class="filters">${figures}</div></section>`
}
