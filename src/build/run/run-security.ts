import { SlipwayError } from '../../base/errors.js';
import type { Kubefile } from '../../kubefile-parser/ast.js';
import { excerptAt, locationOf } from '../../kubefile-parser/caret.js';

/**
 * Refuses `RUN --security=insecure` before anything is built; all places are listed at once. A command with every right of root could
 * change the machine that builds, so that what it makes would depend on that machine.
 * @throws SlipwayError E_UNSUPPORTED
 */
export function refuseInsecure(kubefile: Kubefile): void {
  const places = kubefile.stages.flatMap(({ instructions }) =>
    instructions.flatMap((instruction) =>
      instruction.kind === 'RUN' && instruction.security === 'insecure' ? [instruction.position] : [],
    ),
  );
  if (places.length === 0) return;
  const list = places.map(
    (position) =>
      `${locationOf(kubefile.file, position)}: RUN --security=insecure is not supported: a command with all rights could change this machine\n${excerptAt(kubefile, position)}`,
  );
  throw new SlipwayError('E_UNSUPPORTED', list.join('\n'), {
    hint: 'take the flag away, or do before the build what needs such rights',
  });
}
