import { describe, expect, it } from 'vitest';
import { neededStages, runStages, type StageSource, stageSource } from '../../../src/build/stages/stage-graph.js';
import { parsePlatform } from '../../../src/image/platform.js';
import { parseKubefile } from '../../../src/kubefile-parser/parse.js';

const PLATFORM = parsePlatform('amd64');

function names(text: string, target: number, values: Readonly<Record<string, string>> = {}): number[] {
  const kubefile = parseKubefile(text, 'Kubefile');
  const stage = kubefile.stages[target];
  if (stage === undefined) throw new Error('no such stage');
  return neededStages(kubefile, stage, ({ image }) => values[image.raw] ?? image.raw).map(({ from }) => from.index);
}

describe('what a target needs', () => {
  it.each([
    ['its base', 'FROM scratch AS a\nFROM scratch AS b\nFROM a', 2, [0, 2]],
    [
      'what it copies from, by name, in any case',
      'FROM scratch AS a\nFROM scratch AS b\nFROM scratch\nCOPY --from=B x y',
      2,
      [1, 2],
    ],
    ['what it copies from, by number', 'FROM scratch\nFROM scratch\nFROM scratch\nCOPY --from=0 x y', 2, [0, 2]],
    [
      'what it mounts',
      'FROM scratch AS a\nFROM scratch AS b\nFROM scratch\nRUN --mount=type=bind,from=a,target=/m x',
      2,
      [0, 2],
    ],
    [
      'what those need',
      'FROM scratch AS a\nFROM a AS b\nFROM scratch AS c\nFROM scratch\nCOPY --from=b x y',
      3,
      [0, 1, 3],
    ],
    ['nothing of an image with the name of no stage', 'FROM scratch AS a\nFROM other\nCOPY --from=busybox x y', 1, [1]],
    ['nothing after it', 'FROM scratch AS a\nFROM a AS b', 0, [0]],
  ])('%s', (_what, text, target, expected) => {
    expect(names(text, target)).toEqual(expected);
  });

  it('follows a FROM with a variable to the stage that it means', () => {
    const text = 'ARG WHICH=b\nFROM scratch AS a\nFROM scratch AS b\nFROM $WHICH';
    expect(names(text, 2, { $WHICH: 'b' })).toEqual([1, 2]);
  });
});

describe('running stages', () => {
  const THREE = parseKubefile(
    'FROM scratch AS a\nFROM scratch AS b\nFROM scratch\nCOPY --from=a x x\nCOPY --from=b y y',
    'Kubefile',
  );

  it('runs stages that do not need each other at the same time, each once', async () => {
    const events: string[] = [];
    let meet: () => void = () => undefined;
    const bothRun = new Promise<void>((resolve) => {
      meet = resolve;
    });
    let running = 0;
    const source: StageSource<string> = stageSource(THREE, {
      platform: PLATFORM,
      image: async (name) => name,
      run: async ({ from, instructions }) => {
        events.push(`start ${from.index}`);
        if (from.index < 2) {
          if (++running === 2) meet();
          await bothRun; // would never end if one waited for the other
        } else {
          for (const instruction of instructions)
            if (instruction.kind === 'COPY' && instruction.from !== undefined) await source.from(instruction.from);
        }
        events.push(`end ${from.index}`);
        return `state ${from.index}`;
      },
    });
    expect(await runStages(source, [0, 1, 2], () => undefined)).toBe('state 2');
    expect([...events].sort()).toEqual(['end 0', 'end 1', 'end 2', 'start 0', 'start 1', 'start 2']);
  });

  it('throws the first failure, after everything else was stopped and has ended', async () => {
    const stop = new AbortController();
    let ended = false;
    const source = stageSource(THREE, {
      platform: PLATFORM,
      image: async (name) => name,
      run: async ({ from }) => {
        if (from.index === 1) throw new Error('the second is broken');
        await new Promise((resolve) => stop.signal.addEventListener('abort', resolve));
        await new Promise(setImmediate);
        ended = true;
        throw new Error('stopped');
      },
    });
    await expect(runStages(source, [0, 1], (reason) => stop.abort(reason))).rejects.toThrow('the second is broken');
    expect(ended).toBe(true);
  });

  it('asks for an image once, whoever wants it', async () => {
    let asked = 0;
    const source = stageSource(THREE, {
      platform: PLATFORM,
      image: async (name) => {
        asked++;
        return name;
      },
      run: async () => '',
    });
    const reference = { name: 'busybox', position: { line: 1, column: 1 } };
    expect(
      await Promise.all([source.from(reference), source.image('busybox', PLATFORM), source.from(reference)]),
    ).toEqual(['busybox', 'busybox', 'busybox']);
    expect(asked).toBe(1);
  });
});
