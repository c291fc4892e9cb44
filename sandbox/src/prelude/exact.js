// Sums of doubles without error, rounded once at the end: the order of the terms does not matter.
//
// Partial sums that do not overlap, after J. R. Shewchuk, "Adaptive Precision Floating-Point Arithmetic and Fast Robust
// Geometric Predicates" (1997), rounded to even as Python's math.fsum does. Where one of them would overflow, a whole
// number of the least doubles takes their place, so that only a sum too large for a double is not finite.

const { abs } = Math;
const { isFinite: isFiniteNumber } = Number;

/** As many bits as a double has, and enough more that what is cut off below them can be told by one. */
const KEPT_BITS = 64;

export class ExactSum {
  /** Partial sums, the least first; their bits do not overlap. */
  #partials = [];
  /** The sum in units of 2^-1074 once a partial sum was too large. */
  #units = null;
  #isFinite = true;

  /** Adds a value. Any that is no finite number makes the sum NaN for good. */
  add(value) {
    if (!isFiniteNumber(value)) this.#isFinite = false;
    else if (this.#units !== null) this.#units += unitsOf(value);
    else this.#addTo(this.#partials, value);
  }

  #addTo(partials, value) {
    let carried = value;
    let n = 0;
    for (let i = 0; i < partials.length; i++) {
      const partial = partials[i];
      const [large, small] = abs(carried) < abs(partial) ? [partial, carried] : [carried, partial];
      const high = large + small;
      if (!isFiniteNumber(high)) {
        const all = [...partials.slice(0, n), carried, ...partials.slice(i)];
        this.#units = all.reduce((units, one) => units + unitsOf(one), 0n);
        return;
      }
      const low = small - (high - large);
      if (low !== 0) partials[n++] = low;
      carried = high;
    }
    partials.length = n;
    if (carried !== 0) partials.push(carried);
  }

  /** The double nearest to the sum, of two as near the even one. */
  rounded() {
    if (!this.#isFinite) return NaN;
    if (this.#units !== null) return nearest(this.#units);
    const partials = this.#partials;
    let i = partials.length;
    let sum = 0;
    let low = 0;
    while (i > 0 && low === 0) {
      const small = partials[--i];
      const high = sum + small;
      low = small - (high - sum);
      sum = high;
    }
    // Half of a unit was rounded to even: what is left below says whether it was more than half.
    if (i > 0 && (low < 0 ? partials[i - 1] < 0 : partials[i - 1] > 0)) {
      const up = sum + low * 2;
      if (low * 2 === up - sum) sum = up;
    }
    return sum;
  }
}

/** A finite double in units of 2^-1074, the least of all, from its bits in IEEE 754: sign, 11 of exponent, 52 of fraction. */
function unitsOf(value) {
  const bits = new BigUint64Array(new Float64Array([value]).buffer)[0];
  const exponent = (bits >> 52n) & 0x7ffn;
  const fraction = bits & 0xf_ffff_ffff_ffffn;
  const units = exponent === 0n ? fraction : (fraction | 0x10_0000_0000_0000n) << (exponent - 1n);
  return value < 0 ? -units : units;
}

function nearest(units) {
  const magnitude = units < 0n ? -units : units;
  const bits = magnitude.toString(16).length * 4;
  const cut = bits > KEPT_BITS ? bits - KEPT_BITS : 0;
  let kept = magnitude >> BigInt(cut);
  if (kept << BigInt(cut) !== magnitude) kept |= 1n;
  // The first factor is rounded. The product is not: the other one is a power of two.
  const double = Number(kept) * 2 ** (cut - 1074);
  return units < 0n ? -double : double;
}
