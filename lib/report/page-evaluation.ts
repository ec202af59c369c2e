import sharp from 'sharp'
import { cellsOf, forEachCell } from '../evaluate/confusion.js'
import type { Metrics } from '../evaluate/metrics.js'
import { countedText, countText } from '../table.js'
import { type Tensor, valuesOf } from '../tensor.js'
import { percent } from '../train/log.js'
import { type Html, html, named, wide } from './html.js'

/** Most classes for which a matrix is readable. */
const mostInMatrix = 50

/** Most classes for which cells have room for three digits and columns for names. */
const mostInLarge = 20

/** Most rows of the pairs, beside a matrix and without one. */
const mostPairs = { beside: 10, alone: 30 } as const
const mostRows = 25

const at = (metrics: Metrics, truth: number, answer: number): number => metrics.confusion[truth]?.[answer] ?? 0

/** Renders the confusion matrix, up to 50 classes, and the pairs most often confused. */
export function confusion(metrics: Metrics): Html {
  const classes = metrics.perClass.length
  const matrix = classes <= mostInMatrix && confusionMatrix(metrics)
  const note =
    classes > mostInMatrix
      ? html`${countedText(classes, 'class', 'classes')}: too many for a readable matrix.`
      : html`Rows are the true class, columns the predicted class; the shading is the share of the row. <span class="key right">correct</span> <span class="key wrong">wrong</span>`
  return html`<section><h2>Confusion matrix</h2><p class="note">${note}</p><div class="beside">${matrix}${pairs(metrics)}</div></section>`
}

function confusionMatrix(metrics: Metrics): Html {
  const { perClass } = metrics
  const size = perClass.length <= mostInLarge ? 'large' : 'dense'
  const most = perClass.length <= 6 ? 18 : 10
  const head = perClass.map(
    ({ name }, answer) =>
      html`<th scope="col"><abbr title="${name}">${size === 'large' ? shortened(name, most) : answer + 1}</abbr></th>`,
  )
  const rows = perClass.map(({ name, count }, truth) => {
    const number = size === 'dense' && html`<span class="index">${truth + 1}</span> `
    const cells = perClass.map((other, answer) =>
      cell(at(metrics, truth, answer), count, truth === answer, `${name} classified as ${other.name}`),
    )
    return html`<tr><th scope="row" title="${name}">${number}${named(name)}</th>${cells}</tr>`
  })
  return html`<div>${wide('Confusion matrix', html`<table class="matrix ${size}"><thead><tr><th scope="col" class="corner">true \\ predicted</th>${head}</tr></thead><tbody>${rows}</tbody></table>`)}</div>`
}

function cell(count: number, row: number, isRight: boolean, title: string): Html {
  if (count === 0) return html`<td class="zero">${isRight && '0'}</td>`
  const share = count / row
  // a single mistake among hundreds must stay visible
  const shade = Math.max(0.12, share).toFixed(2)
  return html`<td class="${isRight ? 'right' : 'wrong'}" style="--s:${shade}" title="${title}: ${countedText(count, 'image')}, ${percent(share)}">${count}</td>`
}

function shortened(name: string, most: number): string {
  const letters = Array.from(name)
  return letters.length <= most ? name : `${letters.slice(0, most - 1).join('')}\u2026`
}

interface Pair {
  readonly truth: number
  readonly answer: number
  readonly count: number
}

function mostConfused(metrics: Metrics): Pair[] {
  const pairs: Pair[] = []
  forEachCell(cellsOf(metrics), (truth, answer, count) => {
    if (truth !== answer) pairs.push({ truth, answer, count })
  })
  return pairs.sort((a, b) => b.count - a.count)
}

function pairs(metrics: Metrics): Html | undefined {
  const all = mostConfused(metrics)
  if (all.length === 0) return html`<p class="note">No image was classified as another class.</p>`
  // a small matrix shows the same at a glance
  const classes = metrics.perClass.length
  if (classes <= 4) return undefined
  const most = all[0]?.count ?? 1
  const shown = classes <= mostInMatrix ? mostPairs.beside : mostPairs.alone
  const rows = all.slice(0, shown).map(({ truth, answer, count }) => {
    const [own, other] = [metrics.perClass[truth], metrics.perClass[answer]]
    return html`<tr><td class="name">${named(own?.name ?? '')}</td><td class="name">${named(other?.name ?? '')}</td><td>${count}</td><td>${percent(count / (own?.count || 1))}</td><td class="bar">${bar(count / most, 'wrong')}</td></tr>`
  })
  const rest = all.length > shown && html`<p class="note">${shown} of ${countText(all.length)} pairs.</p>`
  return html`<div><h3>Most often confused</h3>${wide('Most often confused', html`<table class="numbers list"><thead><tr><th scope="col" class="name">True</th><th scope="col" class="name">Predicted</th><th scope="col">Images</th><th scope="col">Share</th><th></th></tr></thead><tbody>${rows}</tbody></table>`)}${rest}</div>`
}

/** Renders a bar for a share from 0 to 1. It is hidden from screen readers, as the number stands beside it. */
export function bar(share: number, look: 'right' | 'wrong'): Html {
  const width = Math.round(1000 * Math.min(1, Math.max(0, share))) / 10
  return html`<span class="track" aria-hidden="true"><span class="${look}" style="width:${width}%"></span></span>`
}

/** Renders the per-class results, lowest recall first. */
export function classTable(metrics: Metrics): Html {
  const answers = metrics.perClass.map(() => 0)
  forEachCell(cellsOf(metrics), (_, answer, count) => {
    answers[answer] = (answers[answer] ?? 0) + count
  })
  const confusions = new Map<number, Pair>()
  for (const pair of mostConfused(metrics)) if (!confusions.has(pair.truth)) confusions.set(pair.truth, pair)
  const order = metrics.perClass.map((result, index) => ({ ...result, index }))
  order.sort((a, b) => Number(b.count > 0) - Number(a.count > 0) || a.accuracy - b.accuracy || b.count - a.count)
  const rows = order.map(({ name, count, correct, accuracy, index }) => {
    const other = confusions.get(index)
    const taken =
      other && html`${named(metrics.perClass[other.answer]?.name ?? '')} <span class="muted">${other.count}</span>`
    const share = count > 0 ? percent(accuracy) : '\u2013'
    const precise = answers[index] ? percent(correct / answers[index]) : '\u2013'
    return html`<tr><th scope="row" class="name">${named(name)}</th><td>${count}</td><td>${correct}</td><td>${share}</td><td class="bar">${bar(accuracy, 'right')}</td><td>${precise}</td><td class="name">${taken}</td></tr>`
  })
  const head = html`<thead><tr><th scope="col" class="name">Class</th><th scope="col">Images</th><th scope="col">Correct</th><th scope="col" title="correct predictions as a share of the images of this class">Recall</th><th></th><th scope="col" title="correct predictions as a share of the predictions of this class">Precision</th><th scope="col" class="name">Most often confused with</th></tr></thead>`
  const table = (part: readonly Html[]) =>
    wide('Per-class results', html`<table class="numbers list">${head}<tbody>${part}</tbody></table>`)
  const rest = rows.slice(mostRows)
  const more = rest.length > 0 && html`<details><summary>${rest.length} more</summary>${table(rest)}</details>`
  return html`<section><h2>Per-class results</h2>${table(rows.slice(0, mostRows))}${more}</section>`
}

/** A wrongly classified image, as shown on the page. */
export interface ShownMistake {
  readonly image: EmbeddedImage
  /** The image under its Grad-CAM for the predicted class; undefined for a network that has none. */
  readonly overlay?: EmbeddedImage
  /** Name of the image or its file. */
  readonly name: string
  readonly truth: string
  readonly answer: string
  /** Probability of the predicted class, 0 to 1. */
  readonly probability: number
  /** Probability of the true class, 0 to 1. */
  readonly truthProbability: number
}

/** Filters of the first convolution, as shown on the page. */
export interface ShownFilters {
  /** Name of the parameter: 'conv1_1.weight'. */
  readonly name: string
  readonly channels: number
  readonly images: readonly FilterImage[]
}

/** The path of an image relative to the folder of the data. */
function within(name: string, data: string | undefined): string {
  const folder = `${data?.replace(/\/+$/, '')}/`
  return data && name.startsWith(folder) ? name.slice(folder.length) : name
}

/**
 * Renders the most confident mistakes.
 * @param data folder of the images, which is removed from their names
 */
export function mistakes(shown: readonly ShownMistake[], data: string | undefined): Html {
  if (shown.length === 0)
    return html`<section><h2>Mistakes</h2><p class="none">None: every image was classified correctly.</p></section>`
  const figures = shown.map(({ image, overlay, name, truth, answer, probability, truthProbability }) => {
    const look = Math.max(image.width, image.height) <= small && html` class="pixels"`
    const figure = html`<img${look} src="${image.uri}" width="${image.width}" height="${image.height}" alt="${name}: ${truth}, classified as ${answer}">`
    const map =
      overlay &&
      html`<div class="frame"><img${look} src="${overlay.uri}" width="${overlay.width}" height="${overlay.height}" alt="Grad-CAM for ${answer}"></div>`
    return html`<figure class="mistake"><div class="frames"><div class="frame">${figure}</div>${map}</div><figcaption><dl>
<dt>predicted</dt><dd class="share">${percent(probability)}</dd><dd class="class">${named(answer)}</dd><dd class="line">${bar(probability, 'wrong')}</dd>
<dt>true</dt><dd class="share">${percent(truthProbability)}</dd><dd class="class">${named(truth)}</dd><dd class="line">${bar(truthProbability, 'right')}</dd></dl>
<p class="file" title="${name}">${named(within(name, data))}</p></figcaption></figure>`
  })
  return html`<section><h2>Most confident mistakes</h2><p class="note">Images as the network received them, with the probabilities of the predicted class and of the true class${shown.some(({ overlay }) => overlay) && '; beside each its Grad-CAM for the predicted class: bright where the score depends on the image'}.</p><div class="mistakes">${figures}</div></section>`
}

/** Renders the filters of the first convolution. */
export function filters({ name, channels, images }: ShownFilters): Html {
  const figures = images.map(
    ({ uri, width, height, largest }, index) =>
      html`<img class="pixels" src="${uri}" width="${width}" height="${height}" alt="filter ${index + 1}" title="filter ${index + 1}: largest weight ${largest.toPrecision(2)}">`,
  )
  const colours =
    channels === 3 ? 'red, green and blue are the weights of these channels' : 'bright is positive, dark is negative'
  return html`<section><h2>First-layer filters</h2><p class="note"><code>${name}</code>, ${images.length} filters, each scaled by its own largest weight: mid-grey is 0; ${colours}.</p><div class="filters">${figures}</div></section>`
}

/** An image as a data URI. */
export interface EmbeddedImage {
  /** `data:image/png;base64,...` */
  readonly uri: string
  readonly width: number
  readonly height: number
}

/** Largest side in pixels of an image that is shown enlarged, without smoothing, and stored as PNG. */
const small = 96

/**
 * Encodes pixels as a data URI: PNG up to 96 pixels, else JPEG.
 * @param pixels uint8, height x width x channels; of two channels, or more than three, the first is shown
 */
export async function embedded(
  pixels: Uint8Array,
  size: { readonly height: number; readonly width: number; readonly channels: number },
): Promise<EmbeddedImage> {
  const { height, width } = size
  const shown = size.channels === 3 ? pixels : pixels.filter((_, position) => position % size.channels === 0)
  const image = sharp(shown, { raw: { height, width, channels: size.channels === 3 ? 3 : 1 } })
  const isSmall = Math.max(height, width) <= small
  const bytes = await (isSmall ? image.png() : image.jpeg({ quality: 82 })).toBuffer()
  return { uri: `data:image/${isSmall ? 'png' : 'jpeg'};base64,${bytes.toString('base64')}`, width, height }
}

/** A filter of the first convolution as an image. */
export interface FilterImage extends EmbeddedImage {
  /** Largest absolute value of a weight, drawn black or white. */
  readonly largest: number
}

/** Approximate side of a filter's image in pixels. */
const filterSide = 48

/**
 * Draws the filters of the first convolution: 0 is mid-grey, the largest absolute value black or white; each weight is
 * enlarged to a square.
 * @param weight float32 [o, c, h, w]
 * @returns no image where c is neither 1 nor 3
 */
export async function filterImages(weight: Tensor<'float32'>): Promise<FilterImage[]> {
  const [outputs = 0, channels = 0, height = 0, width = 0] = weight.shape
  if ((channels !== 1 && channels !== 3) || height * width === 0) return []
  const values = valuesOf(weight)
  const area = height * width
  const times = Math.max(1, Math.round(filterSide / Math.max(height, width)))
  const size = { width: width * times, height: height * times }
  return Promise.all(
    Array.from({ length: outputs }, async (_, output) => {
      const window = values.subarray(output * channels * area, (output + 1) * channels * area)
      const largest = window.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
      // c h w -> h w c
      const pixels = Uint8Array.from(window, (_, position) => {
        const value = window[(position % channels) * area + Math.floor(position / channels)] ?? 0
        return largest > 0 && Number.isFinite(largest) ? Math.round(127.5 + (127.5 * value) / largest) : 128
      })
      const raw = { height, width, channels: channels as 1 | 3 }
      const bytes = await sharp(pixels, { raw })
        .resize({ ...size, kernel: 'nearest' })
        .png({ compressionLevel: 9 })
        .toBuffer()
      return { uri: `data:image/png;base64,${bytes.toString('base64')}`, ...size, largest }
    }),
  )
}
