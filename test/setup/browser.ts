import { execFile, spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'

/** A browser of Chromium's kind that can be started, or undefined. */
export function findBrowser(): string | undefined {
  const candidates = [process.env.VGGNET_BROWSER, 'chromium', 'chromium-browser', 'google-chrome']
  return candidates.find((browser) => browser && spawnSync(browser, ['--version']).status === 0)
}

/** How a page is looked at. */
export interface Look {
  /** Of the window, in CSS pixels. */
  readonly width: number
  readonly scheme: 'light' | 'dark'
}

/** What a browser made of a page. */
export interface Seen {
  /** Of the page, and of what it is in: larger means that one must scroll sideways. */
  readonly width: number
  readonly visibleWidth: number
  readonly height: number
  /** Elements that stick out to the right, where no part that scrolls by itself holds them. */
  readonly stickingOut: readonly string[]
  readonly images: number
  /** Alternative texts of images that could not be shown. */
  readonly broken: readonly string[]
  /** Colour of the background and of the text: `rgb(16, 19, 23)`. */
  readonly background: string
  readonly colour: string
  readonly title: string
  /** What went to the console: errors, and what the page's policy of content refused. */
  readonly console: readonly string[]
}

/** Runs beside the page, in the page that holds it in a frame; nothing is added to the page itself. */
const measuring = `
const frame = document.querySelector('iframe')
frame.onload = () => {
  const { document: page } = frame.contentWindow
  const root = page.documentElement
  const scrolls = (element) => element.closest('.wide') !== null
  const style = frame.contentWindow.getComputedStyle(page.body)
  const images = [...page.images]
  const all = [...page.body.querySelectorAll('*')]
  document.querySelector('pre').textContent = JSON.stringify({
    width: root.scrollWidth,
    visibleWidth: root.clientWidth,
    height: root.scrollHeight,
    stickingOut: all
      .filter((element) => !scrolls(element) && element.getBoundingClientRect().right > root.clientWidth + 1)
      .map((element) => element.tagName + '.' + element.getAttribute('class')),
    images: images.length,
    broken: images.filter((image) => !image.complete || image.naturalWidth === 0).map((image) => image.alt),
    background: style.backgroundColor,
    colour: style.color,
    title: page.title,
  })
}
frame.srcdoc = PAGE`

/** Opens a page in a frame of the width asked for (a window has a least width) and measures it. */
export async function see(browser: string, page: string, folder: string, look: Look): Promise<Seen> {
  const script = measuring.replace('PAGE', () => JSON.stringify(page).replaceAll('<', '\\u003c'))
  const frame = `<iframe style="border:0;width:${look.width}px;height:900px"></iframe>`
  const holder = path.join(folder, `holder-${look.width}-${look.scheme}.html`)
  writeFileSync(holder, `<!doctype html><meta charset="utf-8">${frame}<pre></pre><script>${script}</script>`)
  const { stdout, stderr } = await run(browser, folder, look, ['--dump-dom', '--virtual-time-budget=10000', holder])
  const measured = /<pre>(.*?)<\/pre>/s.exec(stdout)?.[1]
  if (!measured) throw new Error(`The browser measured nothing: ${stdout.slice(0, 500)} ${stderr.slice(-2000)}`)
  const plain = measured.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&')
  return { ...JSON.parse(plain), console: stderr.split('\n').filter((line) => line.includes(':CONSOLE')) }
}

/** Takes an image of a file in a window of this size. @returns PNG */
export async function screenshot(
  browser: string,
  file: string,
  folder: string,
  look: Look & { readonly height: number },
): Promise<Buffer> {
  const image = path.join(folder, `screenshot-${look.width}-${look.scheme}.png`)
  const size = `--window-size=${look.width},${look.height}`
  await run(browser, folder, look, [`--screenshot=${image}`, size, file])
  return readFileSync(image)
}

async function run(browser: string, folder: string, { scheme }: Look, words: readonly string[]) {
  const profile = path.join(folder, 'profile')
  mkdirSync(profile, { recursive: true })
  // Without a sandbox: it cannot be had as root or in most containers, and the page is our own.
  const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run']
  const quiet = [
    '--hide-scrollbars',
    '--disable-background-networking',
    '--enable-logging=stderr',
    `--user-data-dir=${profile}`,
  ]
  const colours = `--blink-settings=preferredColorScheme=${scheme === 'dark' ? 0 : 1}`
  const options = { maxBuffer: 2 ** 28, timeout: 300_000 }
  return promisify(execFile)(browser, [...flags, ...quiet, colours, ...words], options)
}
