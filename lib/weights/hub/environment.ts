import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import path from 'node:path'
import { VggError } from '../../error.js'

/** What the environment says about the hub, by the rules of Python's huggingface_hub. */
export interface HubEnvironment {
  /** Address of the hub, without a slash at its end: HF_ENDPOINT, else https://huggingface.co. */
  readonly endpoint: string
  /** HF_TOKEN, else the token that `hf auth login` saved; undefined if there is none. */
  readonly token: string | undefined
  /** HF_HUB_OFFLINE: no request is made. */
  readonly offline: boolean
}

type Variables = Readonly<Record<string, string | undefined>>

/** @throws INVALID_ARGUMENT if a variable has a value that cannot be used. No message contains the token. */
export async function hubEnvironment(env: Variables): Promise<HubEnvironment> {
  const offline = /^(1|on|yes|true)$/i.test(env.HF_HUB_OFFLINE ?? '')
  return { endpoint: endpointOf(env), token: offline ? undefined : await tokenOf(env), offline }
}

function endpointOf(env: Variables): string {
  const text = env.HF_ENDPOINT || 'https://huggingface.co'
  const url = URL.canParse(text) ? new URL(text) : undefined
  const usable = url !== undefined && /^https?:$/.test(url.protocol) && url.search === '' && url.hash === ''
  // credentials in it would come into messages
  if (usable && url.username === '' && url.password === '') return url.href.replace(/\/+$/, '')
  const cure = 'write an address such as https://huggingface.co, and a token into HF_TOKEN'
  throw new VggError('INVALID_ARGUMENT', `Expected the address of a hub in HF_ENDPOINT; ${cure}`)
}

async function tokenOf(env: Variables): Promise<string | undefined> {
  const saved = env.HF_TOKEN_PATH || path.join(homeOf(env), 'token')
  const token = (env.HF_TOKEN || (await readFile(saved, 'utf8').catch(() => ''))).trim()
  if (token === '') return undefined
  if (/^[\x21-\x7e]{1,4096}$/.test(token)) return token
  const origin = env.HF_TOKEN ? 'HF_TOKEN' : saved
  throw new VggError(
    'INVALID_ARGUMENT',
    `Expected a token of the hub in ${origin}, such as hf_..., without spaces or line breaks in it`,
  )
}

/** The folder of the hub's own files. */
function homeOf(env: Variables): string {
  return env.HF_HOME || path.join(env.XDG_CACHE_HOME || path.join(homedir(), '.cache'), 'huggingface')
}
