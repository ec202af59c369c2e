/** Of a net with a few layers of every kind that VGG has: small, because what happens around it is tested. */
export const options = {
  variant: { name: 'small', channels: [16, 32], blocks: [[3], [3, 3]] },
  classes: 5,
  imageSize: 16,
  headWidth: 32,
  device: 'cpu',
  threads: 2,
  seed: 3,
}
