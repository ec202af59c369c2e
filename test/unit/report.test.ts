import { describe, expect, test } from 'vitest'
import { type Metrics, Tally } from '../../lib/evaluate/metrics.js'
import { html } from '../../lib/report/html.js'
import { lineChart } from '../../lib/report/line-chart.js'
import type { LineOf } from '../../lib/report/log-line.js'
import { type ReportData, reportPage } from '../../lib/report/page.js'
import { bestEpoch, type RunHistory } from '../../lib/report/run-history.js'
import { tagsOf } from '../setup/page-tags.js'

const time = '2026-11-23T12:00:00.000Z'

const epochLine = (epoch: number, top1?: number): LineOf<'epoch'> => ({
  event: 'epoch',
  time,
  step: 10 * epoch,
  epoch,
  epochs: 3,
  learningRate: 0.01,
  loss: 1 / epoch,
  accuracy: 0.5,
  ...(top1 !== undefined && { validation: { count: 9, loss: 0.5, top1, top5: 1 } }),
  imagesPerSecond: 100,
  seconds: 61,
  skipped: 0,
  refused: 0,
})

/** A confusion matrix as metrics. */
function metricsOf(rows: readonly (readonly number[])[], names: readonly string[]): Metrics {
  const tally = new Tally(names)
  for (const [truth, row] of rows.entries()) {
    for (const [answer, count] of row.entries()) {
      const logits = Float32Array.from(row, (_, index) => (index === answer ? 3 : 0))
      for (let one = 0; one < count; one++) tally.add(logits, Int32Array.of(truth))
    }
  }
  return tally.metrics()
}

const pixel = 'data:image/png;base64,iVBORw0KGgo='

/** A report with everything in it, where each text that comes from outside is `name`. */
function reportWith(name: string): ReportData {
  const history: RunHistory = {
    facts: {
      ...{ model: name, data: name, command: name, version: name, device: name, deviceReason: name, precision: name },
      ...{ training: 20, validation: 9, classes: 3, epochs: 3, batch: 2, settings: { [`${name}1`]: name, rate: 0.5 } },
    },
    started: name,
    last: name,
    resumes: [
      { event: 'resume', time: name, step: 10, ...{ model: '', data: '', device: '', precision: '' }, ...counts },
    ],
    end: { event: 'end', time: name, step: 30, ended: 'failed', message: name },
    steps: [],
    epochs: [epochLine(1, 0.5), epochLine(2, 0.25)],
    skipped: [{ name, reason: name }],
    notFinite: [{ event: 'notFinite', time, step: 4, at: 4, message: name, action: 'skip' }],
    torn: true,
    damaged: [3, 7],
  }
  const metrics = metricsOf(
    [
      [2, 1, 0, 0, 0],
      [0, 3, 0, 0, 0],
      [0, 0, 3, 0, 0],
      [1, 0, 0, 0, 0],
      [0, 0, 0, 0, 0],
    ],
    Array.from({ length: 5 }, (_, index) => `${name}${index}`),
  )
  const image = { uri: pixel, width: 1, height: 1 }
  const shown = { image, name, truth: name, answer: name, probability: 0.75, truthProbability: 0.25 }
  return {
    made: time,
    history,
    evaluation: { model: name, metrics, mistakes: [shown], unreadable: [{ name, reason: name }] },
    evaluationError: name,
    filters: { name, channels: 3, images: [{ ...image, largest: 1 }] },
  }
}
const counts = { training: 20, classes: 3, epochs: 3, batch: 2 }

const empty = new Set(['meta', 'img', '!doctype'])

describe('reportPage', () => {
  test.each([
    '<script>alert(1)</script>',
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    '</style></title><svg onload=alert(1)>',
    '&lt;b&gt;$`</bdi></details>',
    'a\u0000\u001b[31m\u202egpj\ud800',
  ])('any name is escaped: %j', (name) => {
    const page = reportPage(reportWith(name))
    expect(tagsOf(page)).toEqual(tagsOf(reportPage(reportWith('harmless'))))
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    expect(page).not.toMatch(/[\u0000\u001b\u202e]/)
    expect(page).not.toMatch(/\p{Surrogate}/u)
  })

  test('opens and closes its tags in order', () => {
    const open: string[] = []
    for (const tag of tagsOf(reportPage(reportWith('x')))) {
      const [name = ''] = tag.split(' ')
      if (empty.has(name) || name === 'path' || name === 'circle') continue
      if (name.startsWith('/')) expect(open.pop()).toBe(name.slice(1))
      else open.push(name)
    }
    expect(open).toEqual([])
  })

  test('has no scripts and no external resources', () => {
    const page = reportPage(reportWith('x'))
    expect(page).toMatch(
      /Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'"/,
    )
    expect(page).not.toMatch(/https?:|url\(|@import|<script|<link|\son[a-z]+=/)
    for (const [, source] of page.matchAll(/\ssrc="([^"]*)"/g)) expect(source).toBe(pixel)
  })

  test('shows each text in its context', () => {
    const page = reportPage(reportWith('Löwe & Söhne'))
    expect(page.split('Löwe &amp; Söhne').length).toBeGreaterThan(30)
    for (const title of [
      'Curves',
      'Confusion matrix',
      'Per-class results',
      'Most confident mistakes',
      'First-layer filters',
    ]) {
      expect(page).toContain(title)
    }
    expect(page).toMatch(/Ended by an error: Löwe/)
    expect(page).toMatch(/Training files skipped: 1/)
    expect(page).toMatch(/Validation files skipped: 1/)
    expect(page).toMatch(/step 4: Löwe &amp; Söhne; the update was skipped/)
    expect(page).toMatch(/last line of the log is incomplete/)
  })

  test('file names are relative to the folder of the data; top-5 of five classes is omitted', () => {
    const data = reportWith('/photos/')
    const [mistake] = data.evaluation?.mistakes ?? []
    if (data.evaluation === undefined || mistake === undefined) throw new Error('there is a mistake')
    const mistakes = ['/photos/cat/1.jpg', '/images/2.jpg'].map((name) => ({ ...mistake, name }))
    const page = reportPage({ ...data, evaluation: { ...data.evaluation, mistakes } })
    const shown = [...page.matchAll(/<p class="file" title="([^"]*)"><bdi>([^<]*)/g)].map(([, full, short]) => [
      full,
      short,
    ])
    expect(shown).toEqual([
      ['/photos/cat/1.jpg', 'cat/1.jpg'],
      ['/images/2.jpg', '/images/2.jpg'],
    ])
    const tile = '<p class="label">top-5</p>'
    expect(page).not.toContain(tile)
    const facts = data.history.facts && { ...data.history.facts, classes: 6 }
    expect(reportPage({ ...data, history: { ...data.history, facts } })).toContain(tile)
  })

  test('is the same for the same data', () => {
    expect(reportPage(reportWith('x'))).toBe(reportPage(reportWith('x')))
  })

  test('a log without a line, and a training without validation', () => {
    const nothing = { facts: undefined, started: undefined, last: undefined, end: undefined, torn: false, damaged: [] }
    const history = { ...nothing, resumes: [], steps: [], epochs: [], skipped: [], notFinite: [] }
    expect(reportPage({ made: time, history })).toMatch(/The log is empty.*no finished step yet/s)
    const begun = reportPage({ made: time, history: { ...history, started: time, last: time, epochs: [epochLine(1)] } })
    expect(begun).toMatch(/Not finished: 1 epoch so far, last log line 2026-11-23 12:00 UTC/)
    expect(begun).not.toMatch(/Top-1|NaN|undefined/)
  })

  test('stays small with a thousand classes and ten thousand files', () => {
    const names = Array.from({ length: 1000 }, (_, index) => `class ${index}`)
    const confusion = names.map((_, truth) => names.map((_, answer) => (truth === answer ? 40 : 1)))
    const perClass = names.map((name) => ({ name, count: 1039, correct: 40, accuracy: 40 / 1039 }))
    const metrics = { count: 1_039_000, loss: 1, top1: 0.04, top5: 0.1, perClass, confusion }
    const files = Array.from({ length: 10_000 }, (_, index) => ({ name: `${index}.jpg`, reason: 'empty' }))
    const data = reportWith('x')
    const page = reportPage({
      ...data,
      history: { ...data.history, skipped: files },
      evaluation: { model: 'x', metrics, mistakes: [], unreadable: [] },
    })
    expect(page.length).toBeLessThan(1_000_000)
    expect(page).not.toContain('class="matrix')
    expect(page).toContain('and 9,500 more')
  })
})

describe('bestEpoch', () => {
  test('the first epoch with the highest top-1; none without validation', () => {
    const epochs = [epochLine(1, 0.5), epochLine(2, 0.75), epochLine(3), epochLine(4, 0.75)]
    expect(bestEpoch({ epochs })?.epoch).toBe(2)
    expect(bestEpoch({ epochs: [epochLine(1)] })).toBeUndefined()
  })
})

describe('html', () => {
  test('escapes values, joins lists, omits undefined and false', () => {
    const inner = html`<b>${'&'}</b>`
    expect(html`<p title="${'"'}">${[inner, 1, undefined, false, ['<', inner]]}</p>`.text).toBe(
      '<p title="&quot;"><b>&amp;</b>1&lt;<b>&amp;</b></p>',
    )
  })
})

describe('lineChart', () => {
  const chart = { title: 'Loss', along: 'epoch', scale: 'linear', text: String } as const

  test('positions points between the ends of its axes', () => {
    const points = [
      [1, 0],
      [3, 2],
      [5, 1],
    ] as const
    const { text } = lineChart({ ...chart, series: [{ name: 'training', look: 'training', points }] })
    // x from 46 (epoch 1) to 350 (epoch 5), y from 184 (0) up to 10 (2)
    expect(text).toContain('<path d="M46 184L198 10L350 97"/>')
    expect(text).toContain('<title>epoch 3: training 2</title>')
    expect(text).toContain('<title>Loss: training from 0 at epoch 1 to 1 at epoch 5</title>')
  })

  test('a logarithmic axis begins and ends at powers of ten', () => {
    const points = [
      [1, 0.01],
      [2, 0.001],
      [3, 0.0001],
      [4, 0],
    ] as const
    const { text } = lineChart({ ...chart, scale: 'log', series: [{ name: 'rate', look: 'training', points }] })
    expect(text).toContain('<path d="M46 10L198 97L350 184"/>')
    expect([...text.matchAll(/<text x="40"[^>]*>([^<]*)/g)].map(([, tick]) => tick)).toEqual([
      '0.0001',
      '0.001',
      '0.01',
    ])
  })

  test('a value that is not finite breaks the line and does not change the axis', () => {
    const points = [
      [1, 0],
      [2, Number.NaN],
      [3, 2],
      [4, Number.POSITIVE_INFINITY],
      [5, 1],
    ] as const
    const { text } = lineChart({ ...chart, series: [{ name: 'training', look: 'training', points }] })
    expect(text).toContain('<path d="M46 184M198 10M350 97"/>')
    expect(text).not.toMatch(/NaN|Infinity/)
  })

  test.each([
    { points: [[7, 0.5]] as const, name: 'one point' },
    { points: [[1, 0] as const, [2, 0] as const], name: 'zeros' },
    { points: [[1, -3e-9] as const, [2, 5e-9] as const], name: 'tiny numbers' },
    { points: [[1, 1e300] as const, [2, -1e300] as const], name: 'huge numbers' },
  ])('stays in its frame: $name', ({ points }) => {
    const { text } = lineChart({ ...chart, series: [{ name: 'x', look: 'training', points }] })
    const positions = [...text.matchAll(/cx="([^"]+)" cy="([^"]+)"/g)]
    expect(positions.length).toBe(2 * points.length)
    for (const [, x, y] of positions) {
      expect(Number(x)).toBeGreaterThanOrEqual(46)
      expect(Number(x)).toBeLessThanOrEqual(350)
      expect(Number(y)).toBeGreaterThanOrEqual(10)
      expect(Number(y)).toBeLessThanOrEqual(184)
    }
    expect([...text.matchAll(/<text /g)].length).toBeLessThan(20)
  })

  test('a chart without values', () => {
    expect(lineChart({ ...chart, series: [] }).text).toContain('No values.')
    expect(lineChart({ ...chart, series: [{ name: 'x', look: 'other', points: [[1, Number.NaN]] }] }).text).toContain(
      'No values.',
    )
  })
})
