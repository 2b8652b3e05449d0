/** Figures and counts of an experiment as texts. */

/** "+0.031", "−0.50". */
export function signed(value: number, decimals: number): string {
  return (value < 0 ? '−' : '+') + Math.abs(value).toFixed(decimals);
}

/** With the minus sign that the texts use: "0.310", "−0.307". */
export function fixed(value: number, decimals: number): string {
  return value.toFixed(decimals).replace('-', '−');
}

/** "1 seed", "5 seeds". */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
