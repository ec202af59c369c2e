import { messageOf, VggError } from '../../error.js'
import { systemCode } from '../../files/atomic-file.js'
import { shorten } from '../../options.js'
import type { HubEnvironment } from './environment.js'
import { type HubUri, hubUriText } from './uri.js'

/** A fault after which the same request can succeed. */
export class Transient extends VggError {
  /** Milliseconds that the server asks to wait. */
  readonly wait: number | undefined

  constructor(message: string, { wait, cause }: { wait?: number; cause?: unknown } = {}) {
    super('DOWNLOAD_FAILED', message, { cause })
    this.wait = wait
  }
}

/** The hub cannot be reached, as on a machine without a network. */
export class Unreachable extends VggError {}

/** The server sends whole files only. */
export class NoRange extends VggError {}

/** The file became another one between two requests. */
export class Changed extends VggError {}

/** What a request is for, for messages. */
export interface Purpose {
  readonly environment: HubEnvironment
  readonly uri: HubUri
}

/** The fault of a response with a status of at least 400. */
export function statusFault(response: Response, host: string, { environment, uri }: Purpose): VggError {
  const { status } = response
  const { endpoint, token } = environment
  const name = `'${uri.repository}'`
  const code = response.headers.get('X-Error-Code') ?? ''
  if (status === 429) return tooMany(response, host, token)
  if (status === 408 || status >= 500) return new Transient(`${host} answered with status ${status}; try again later`)
  if (code === 'GatedRepo' || (status === 403 && host === new URL(endpoint).host)) {
    const terms = `accept its terms at ${endpoint}/${uri.repository}, and set HF_TOKEN to a token of that account`
    return new VggError('DOWNLOAD_FAILED', `${name} is gated or private: ${terms} (${endpoint}/settings/tokens)`)
  }
  if (status === 401) {
    const known =
      token === undefined
        ? 'set HF_TOKEN to a token that may read it'
        : 'the token (HF_TOKEN, or that of `hf auth login`) may not read it, or has expired'
    const cure = `check the name; if it is private or gated, ${known} (${endpoint}/settings/tokens)`
    return new VggError('DOWNLOAD_FAILED', `${host} shows no repository ${name} (status 401): ${cure}`)
  }
  if (status === 404 || status === 410) return new VggError('FILE_NOT_FOUND', missing(code, { environment, uri }))
  const reason = response.headers.get('X-Error-Message')
  const words = reason === null ? '' : `: ${shorten(reason)}`
  return new VggError(
    'DOWNLOAD_FAILED',
    `${host} answered the request for ${hubUriText(uri)} with status ${status}${words}`,
  )
}

function missing(code: string, { environment: { endpoint }, uri }: Purpose): string {
  const page = `${endpoint}/${uri.repository}`
  if (code === 'RevisionNotFound')
    return `'${uri.repository}' has no revision '${uri.revision ?? 'main'}'; ${page}/tree/main lists its branches and tags`
  if (code === 'EntryNotFound')
    return `'${uri.repository}' has no file '${uri.file ?? ''}'; ${page}/tree/main lists its files`
  const cure = 'check the owner and the name, capital letters too; a private one needs HF_TOKEN'
  return `${endpoint} has no model repository '${uri.repository}'${uri.revision ? `, or no revision '${uri.revision}' of it` : ''}; ${cure}`
}

function tooMany(response: Response, host: string, token: string | undefined): Transient {
  const after = response.headers.get('Retry-After') ?? ''
  const seconds = /^\d{1,9}$/.test(after) ? Number(after) : (Date.parse(after) - Date.now()) / 1000
  const wait = Number.isFinite(seconds) ? Math.max(0, Math.ceil(seconds)) : undefined
  const when = wait === undefined ? 'later' : `in ${wait} s`
  const cure = token === undefined ? '; with HF_TOKEN set, more requests are allowed' : ''
  return new Transient(
    `${host} limits the number of requests (status 429): try again ${when}${cure}`,
    wait === undefined ? {} : { wait: wait * 1000 },
  )
}

const transientCodes = ['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT']
const unreachableCodes = [
  ...['ENOTFOUND', 'EAI_AGAIN', 'ECONNREFUSED', 'ENETUNREACH', 'EHOSTUNREACH', 'ENETDOWN'],
  ...['ETIMEDOUT', 'UND_ERR_CONNECT_TIMEOUT'],
]

/** The fault of a request that got no response, or not all of it. */
export function networkFault(error: unknown, host: string): VggError {
  if (error instanceof VggError) return error
  // fetch reports 'fetch failed' or 'terminated', and why in `cause`
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
  const code = systemCode(cause) ?? (cause instanceof AggregateError ? systemCode(cause.errors[0]) : undefined) ?? ''
  const reason = messageOf(cause) || code
  if (transientCodes.includes(code) || messageOf(error) === 'terminated')
    return new Transient(`The connection to ${host} broke: ${reason}; try again`, { cause: error })
  if (unreachableCodes.includes(code)) {
    const cure = 'check the network and HF_ENDPOINT, or set HF_HUB_OFFLINE=1 to use cached files only'
    return new Unreachable('DOWNLOAD_FAILED', `${host} cannot be reached (${code}): ${cure}`, { cause: error })
  }
  const cure = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY/.test(code)
    ? '; NODE_EXTRA_CA_CERTS names the certificate of a proxy that decrypts'
    : ''
  return new VggError('DOWNLOAD_FAILED', `The request to ${host} failed: ${reason}${cure}`, { cause: error })
}
