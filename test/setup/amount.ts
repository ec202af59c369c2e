/** Whether tests that repeat something do so in full: `npm run test:long`. The other suites run a sample. */
export const isWhole = process.env.VGGNET_TESTS === 'whole'
