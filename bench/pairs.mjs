// Times two commands in turn, A B A B …, so that a machine whose speed drifts is fair to both.
import { spawnSync } from 'node:child_process';

/**
 * Runs a shell command.
 * @returns wall seconds, and the peak memory of its largest process in bytes.
 */
export function measure(command) {
  const started = process.hrtime.bigint();
  const { status, stderr } = spawnSync('/usr/bin/time', ['-f', '@%M', 'bash', '-c', command], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  if (status !== 0) throw new Error(`${command}\nended with ${status}:\n${stderr}`);
  return { seconds, memory: Number(/@(\d+)\s*$/.exec(stderr)?.[1] ?? 0) * 1024 };
}

/**
 * Prepares, then runs both commands `rounds` times in turn after one round that is not counted. `limit` is what the machine cannot be
 * faster than: a command that does only the unavoidable, or a function that gives seconds.
 */
export function pair({ ours, peer, limit, prepare = () => {}, between = () => {}, rounds = 5 }) {
  const results = [];
  for (let round = 0; round <= rounds; round++) {
    prepare();
    const a = measure(ours);
    between();
    const b = measure(peer);
    const least = limit === undefined ? undefined : typeof limit === 'string' ? measure(limit).seconds : limit();
    if (round > 0) results.push({ ratio: a.seconds / b.seconds, ours: a, peer: b, limit: least });
  }
  return {
    ratio: median(results.map(({ ratio }) => ratio)),
    least: Math.min(...results.map(({ ratio }) => ratio)),
    most: Math.max(...results.map(({ ratio }) => ratio)),
    ours: median(results.map(({ ours: { seconds } }) => seconds)),
    peer: median(results.map(({ peer: { seconds } }) => seconds)),
    limit: limit === undefined ? undefined : median(results.map((result) => result.limit)),
    memory: Math.max(...results.map(({ ours: { memory } }) => memory)),
  };
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}
