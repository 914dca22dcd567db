// Counter-based noise, number for number that of worldmodel/noise.py: SplitMix64's finaliser on 64 bits.

const GOLDEN = 0x9e3779b97f4a7c15n;
const MIX1 = 0xbf58476d1ce4e5b9n;
const MIX2 = 0x94d049bb133111ebn;

const wrap = (x) => BigInt.asUintN(64, x);

/** Scramble a 64-bit number, bijectively. */
export function mix(x) {
  x = wrap(x + GOLDEN);
  x = wrap((x ^ (x >> 30n)) * MIX1);
  x = wrap((x ^ (x >> 27n)) * MIX2);
  return x ^ (x >> 31n);
}

/** The dice of one step: as many numbers below 2**31 as there are slots. */
export function dice(seed, step, slots) {
  const base = mix(wrap(mix(wrap(BigInt(seed))) + BigInt(step)));
  return BigInt64Array.from({ length: slots }, (_, slot) => mix(wrap(base + BigInt(slot))) >> 33n);
}
