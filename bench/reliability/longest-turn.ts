/**
 * For `node --import`: measures the longest turn of the event loop of a process, in milliseconds of its main thread's processor
 * time, which other programs on the machine do not lengthen. At SIGUSR2 it is written to stderr, and measured anew.
 */
const used = () => {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
};
let [before, longest] = [used(), 0];
setInterval(() => {
  const now = used();
  longest = Math.max(longest, now - before);
  before = now;
}, 20).unref();
process.on('SIGUSR2', () => {
  process.stderr.write(`longest turn ${longest.toFixed(0)} ms\n`);
  longest = 0;
});
