/**
 * Student's t distribution (Student, 1908), by the regularised incomplete beta function I:
 *
 *   P(|T| ≥ t) = I_x(ν/2, 1/2)   at x = ν/(ν + t²), with ν degrees of freedom
 */

/** Two-sided p-value of t; `degrees` is a whole number, at least 1. NaN of NaN. */
export function twoSidedP(t: number, degrees: number): number {
  if (Number.isNaN(t)) return Number.NaN;
  const square = t * t;
  if (square === Number.POSITIVE_INFINITY) return 0;
  const [x, y] = [degrees / (degrees + square), square / (degrees + square)];
  const [a, b] = [degrees / 2, 0.5];
  // The fraction converges fast on one side; on the other I_x(a, b) = 1 − I_{1−x}(b, a).
  return x < (a + 1) / (a + b + 2) ? incompleteBeta(x, y, a, b, degrees) : 1 - incompleteBeta(y, x, b, a, degrees);
}

/** The t that |T| exceeds with probability 1 − level: 2.228 at .95 and 10 degrees. `level` in (0, 1). */
export function criticalT(level: number, degrees: number): number {
  let [low, high] = [0, 1];
  while (twoSidedP(high, degrees) > 1 - level) high *= 2;
  // Bisection, to the last bit.
  for (let middle = (low + high) / 2; low < middle && middle < high; middle = (low + high) / 2)
    if (twoSidedP(middle, degrees) > 1 - level) low = middle;
    else high = middle;
  return high;
}

/**
 * I_x(a, b) = x^a y^b / (a B(a, b)) / (1 + d₁/(1 + d₂/(1 + …))), y = 1 − x (Abramowitz & Stegun, 26.5.8):
 *
 *   d_{2m+1} = −(a + m)(a + b + m) x / ((a + 2m)(a + 2m + 1))      d_{2m} = m (b − m) x / ((a + 2m − 1)(a + 2m))
 *
 * evaluated forwards (Lentz, 1976).
 */
function incompleteBeta(x: number, y: number, a: number, b: number, degrees: number): number {
  let [fraction, c, d] = [1, 1, 0];
  for (let n = 1; n < 1000; n++) {
    const m = Math.floor(n / 2);
    const term =
      n % 2 === 0
        ? (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m))
        : (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / (1 + term * d);
    c = 1 + term / c;
    fraction *= c * d;
    if (Math.abs(c * d - 1) < 1e-15) break;
  }
  return (x ** a * y ** b) / (a * betaOfHalves(degrees)) / fraction;
}

/** B(ν/2, 1/2): π and 2 at ν = 1 and 2, and B(ν/2 + 1, 1/2) = B(ν/2, 1/2) ν/(ν + 1). */
function betaOfHalves(degrees: number): number {
  let value = degrees % 2 === 1 ? Math.PI : 2;
  for (let nu = degrees % 2 === 1 ? 1 : 2; nu < degrees; nu += 2) value *= nu / (nu + 1);
  return value;
}
