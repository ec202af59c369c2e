import { isWhole } from '../setup/amount.js'

/** Number of cases of a campaign: `sample` in `npm run test:slow`, `whole` in `npm run test:long`, or VGGNET_CASES. */
export const casesOf = (amount: { sample: number; whole: number }): number =>
  Number(process.env.VGGNET_CASES ?? amount[isWhole ? 'whole' : 'sample'])

/** The seed of a campaign, VGGNET_SEED. A failure names it and the case. */
export const seed = Number(process.env.VGGNET_SEED ?? 1)
