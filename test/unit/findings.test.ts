import { describe, expect, it } from 'vitest'
import { activationState, adviceFor, gradientState, type SignalState } from '../../lib/check/findings.js'

describe('the verdict on logits', () => {
  // rms, as measured; 'trains': whether the net of that measurement did
  it.each<{ net: string; rms: number; verdict: SignalState }>([
    { net: 'A, 0.01, full size, trains', rms: 1.0e-3, verdict: 'fine' },
    { net: 'D, 0.01, full size, does not', rms: 3.2e-6, verdict: 'dead' },
    { net: 'A, Glorot, full size, trains', rms: 1.42, verdict: 'fine' },
    { net: 'D, Glorot, full size, scaled, trains', rms: 0.22 / 58, verdict: 'fine' },
    { net: 'A, He, full size, not scaled', rms: 237, verdict: 'exploding' },
    { net: 'A, He, full size, scaled', rms: 237 / 58, verdict: 'fine' },
    { net: 'D, Glorot, narrow, learns within 211 steps', rms: 4.6e-4, verdict: 'fine' },
    { net: 'A, 0.01, half as wide, not in 300', rms: 4.9e-5, verdict: 'vanishing' },
    { net: 'A, 0.01, narrow, not in 300', rms: 2.9e-5, verdict: 'dead' },
    { net: 'A, Glorot, narrow, learns within 20', rms: 6.3, verdict: 'fine' },
    { net: 'A, He, narrow, falls back to ln(classes)', rms: 33, verdict: 'exploding' },
    { net: 'broken', rms: Number.NaN, verdict: 'exploding' },
  ])('is $verdict for $rms ($net)', ({ rms, verdict }) => {
    expect(activationState({ rms, deadChannels: 0 }, true)).toBe(verdict)
  })
})

describe('the verdict on other layers', () => {
  it('allows what learnt weights give on input that is not scaled', () => {
    expect(activationState({ rms: 3000, deadChannels: 0.1 }, false)).toBe('fine')
    expect(activationState({ rms: 1e8, deadChannels: 0 }, false)).toBe('exploding')
  })

  it('is dead where hardly a channel fires, and not where half of them do', () => {
    expect(activationState({ rms: 1, deadChannels: 0.5 }, false)).toBe('fine')
    expect(activationState({ rms: 1, deadChannels: 0.95 }, false)).toBe('dead')
  })
})

describe('the verdict on gradients', () => {
  it.each<[number, SignalState]>([
    [1.5e-7, 'vanishing'],
    [1.3e-6, 'fine'],
    [0.1, 'fine'],
    [0.5, 'exploding'],
    [Number.POSITIVE_INFINITY, 'exploding'],
  ])('goes by what a step changes: %d of the weights is %s', (step, verdict) => {
    expect(gradientState(1, step)).toBe(verdict)
  })

  it('is dead without any, and exploding where it is not finite', () => {
    expect(gradientState(0, 0)).toBe('dead')
    expect(gradientState(Number.NaN, 1e-3)).toBe('exploding')
  })
})

describe('the mend', () => {
  it.each([
    [
      'dead',
      { initialisation: 'paper', inputDeviation: 65, classes: 1000 },
      /stuck at 6\.9: use --initialisation glorot, or --plan paper-transplant/,
    ],
    ['dead', { initialisation: 'glorot', inputDeviation: 0.01, classes: 10 }, /stuck at 2\.3: .*0\.01.*larger --scale/],
    ['vanishing', { initialisation: 'glorot', inputDeviation: 1, classes: 10 }, /--initialisation he/],
    [
      'exploding',
      { initialisation: 'he', inputDeviation: 65, classes: 10 },
      /standard deviation 65: use --scale 0\.01724/,
    ],
    ['exploding', { initialisation: 'he', inputDeviation: 1, classes: 10 }, /--initialisation glorot/],
    ['exploding', { initialisation: undefined, inputDeviation: 65, classes: 10 }, /mean and scale that these weights/],
  ] as const)('of %s activations goes by how the weights were made: %o', (verdict, around, words) => {
    expect(adviceFor(verdict, around)).toMatch(words)
  })
})
