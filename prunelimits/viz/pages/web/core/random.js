// Random numbers from a seed: the same run every time, in every browser.

/** Generator sfc32 (Chris Doty-Humphrey), its state filled by SplitMix32 from one seed. */
class Random {
  /** @param {number} seed any integer, taken modulo 2^32 */
  constructor(seed) {
    let state = seed >>> 0;
    const word = () => {
      state = (state + 0x9e3779b9) >>> 0;
      let z = state;
      z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
      return (z ^ (z >>> 15)) >>> 0;
    };
    this.state = Uint32Array.of(word(), word(), word(), 1);
    for (let i = 0; i < 12; i++) this.word();
    this.spare = null;
  }

  /** 32 random bits. */
  word() {
    const s = this.state;
    const result = (s[0] + s[1] + s[3]) >>> 0;
    s[3] = (s[3] + 1) >>> 0;
    s[0] = s[1] ^ (s[1] >>> 9);
    s[1] = (s[2] + (s[2] << 3)) >>> 0;
    s[2] = ((s[2] << 21) | (s[2] >>> 11)) + result;
    return result;
  }

  /** Uniform in [0, 1). */
  uniform() {
    return (this.word() * 2 ** 21 + (this.word() >>> 11)) / 2 ** 53;
  }

  /** An integer from 0 to `below` - 1. */
  integer(below) {
    return Math.floor(this.uniform() * below);
  }

  /** Normal with mean 0 and variance 1 (Marsaglia's polar method). */
  normal() {
    if (this.spare !== null) {
      const spare = this.spare;
      this.spare = null;
      return spare;
    }
    for (;;) {
      const u = 2 * this.uniform() - 1;
      const v = 2 * this.uniform() - 1;
      const square = u * u + v * v;
      if (square >= 1 || square === 0) continue;
      const factor = Math.sqrt((-2 * Math.log(square)) / square);
      this.spare = v * factor;
      return u * factor;
    }
  }

  /** A random order of 0 to `size` - 1 (Fisher and Yates). */
  permutation(size) {
    const order = Uint32Array.from({ length: size }, (_, i) => i);
    for (let i = size - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  }
}
