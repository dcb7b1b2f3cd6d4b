import { readFile } from 'node:fs/promises';

/** Where something is mounted in this process's mount namespace, in the order of mounting (proc(5), mountinfo). */
export async function mountPoints(): Promise<string[]> {
  const table = await readFile('/proc/self/mountinfo', 'utf8');
  return table.split('\n').flatMap((line) => {
    const place = line.split(' ')[4];
    return place === undefined ? [] : [unescaped(place)];
  });
}

/** The mount points at or below a directory, the last mounted first: the order in which they can be taken away. */
export async function mountPointsBelow(dir: string): Promise<string[]> {
  return (await mountPoints()).filter((place) => place === dir || place.startsWith(`${dir}/`)).reverse();
}

/** mountinfo writes spaces, tabs, newlines and backslashes in octal. */
function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
