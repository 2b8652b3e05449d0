/** A stream that keeps what is written to it, and a clock that stands until it is set. */
export function keptOutput(inPlace: boolean) {
  const clock = { seconds: 0 };
  let written = '';
  const output = {
    isTTY: inPlace,
    columns: 200,
    write: (text: string) => {
      written += text;
    },
  };
  /** What was written since the last call. */
  const take = () => {
    const text = written;
    written = '';
    return text;
  };
  return { clock, now: () => clock.seconds, output, take };
}
