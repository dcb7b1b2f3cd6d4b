import { isSlipwayError, messageOf } from '../../base/errors.js';
import { parsePlatform } from '../../image/platform.js';
import { parseReference } from '../../image/reference.js';
import type { FromInstruction } from '../../kubefile-parser/ast.js';
import type { Position } from '../../kubefile-parser/position.js';
import { quote } from '../../kubefile-parser/visible.js';
import type { Check } from '../check.js';
import { reachable, referencesOf, targetIndex } from '../stage-uses.js';

/** `unreachable-stage` and `unused-stage-name`. */
export const checkStages: Check = ({ kubefile, options, report }) => {
  const { stages } = kubefile;
  const uses: number[][] = [];
  /** How each stage is referred to. */
  const byName = new Set<number>();
  const byNumber = new Set<number>();
  return {
    from(_from, { index, base }) {
      uses[index] = [];
      if (base.kind !== 'stage') return;
      uses[index]?.push(base.index);
      byName.add(base.index);
    },
    instruction(instruction, { index }) {
      for (const { stage, name } of referencesOf(instruction)) {
        if (stage === undefined) continue;
        uses[index]?.push(stage);
        (/^\d+$/.test(name) ? byNumber : byName).add(stage);
      }
    },
    endOfStage({ index }) {
      if (index < stages.length - 1) return;
      const target = targetIndex(kubefile, options.target);
      if (target === undefined) return;
      // A target is one of several; what the whole file is for counts as well.
      const needed = new Set([...reachable(uses, target), ...reachable(uses, stages.length - 1)]);
      for (const { from } of stages) {
        if (!needed.has(from.index)) tellUnreachable(from);
        else if (from.name !== undefined && byNumber.has(from.index) && !byName.has(from.index))
          report(
            'unused-stage-name',
            from.position,
            `stage ${from.index} is called ${from.name}, and is referred to by its number only`,
            `write --from=${from.name}: a number changes when a stage is put before it`,
          );
      }
    },
  };

  function tellUnreachable({ index, name, position }: FromInstruction): void {
    const who =
      options.target === undefined
        ? 'the last stage does not need'
        : `neither the last stage nor ${options.target} needs`;
    report(
      'unreachable-stage',
      position,
      `stage ${name ?? index} is not built: ${who} it`,
      name === undefined
        ? 'take it away, or copy from it'
        : `take it away, copy from it with --from=${name}, or build it with --target ${name}`,
    );
  }
};

/** `untagged-image`, `latest-image`, `invalid-image`: of FROM, `COPY --from` and mounts. */
export const checkImages: Check = ({ kubefile, report }) => {
  const dialect = kubefile.directives.dialect;
  const look = (name: string, at: Position): void => {
    try {
      const { tag, digest } = parseReference(name);
      if (digest !== undefined) return;
      if (!/:[^/]*$/.test(name))
        report(
          'untagged-image',
          at,
          `${name} has no tag: ${name}:latest is meant, which is another image from time to time`,
          `write the version that is wanted: ${name}:TAG`,
        );
      else if (tag === 'latest')
        report(
          'latest-image',
          at,
          `${name} is another image from time to time`,
          'write the version that is wanted, or the digest: two builds give the same then',
        );
    } catch (error) {
      if (!isSlipwayError(error)) throw error;
      report('invalid-image', at, messageOf(error), error.hint ?? 'a name is [host[:port]/]repository[:tag][@digest]');
    }
  };
  return {
    from({ image }, { base }) {
      if (base.kind !== 'image' || base.name === undefined) return;
      if (base.name !== '') look(base.name, image.position);
      // An empty FROM that could not be read is reported by the parser.
      else if (image.raw !== '')
        report(
          'invalid-image',
          image.position,
          `${quote(image.raw)} is an empty name`,
          `the empty image is scratch${dialect === 'docker' ? '' : ': FROM scratch'}; or give the variable a value`,
        );
    },
    instruction(instruction) {
      for (const { stage, name, position } of referencesOf(instruction))
        if (stage === undefined && name !== '' && !/^\d+$/.test(name) && name !== 'scratch') look(name, position);
    },
  };
};

/** `invalid-platform` and `fixed-platform`. */
export const checkPlatforms: Check = ({ report }) => ({
  from({ platform }, _scope, expand) {
    if (platform === undefined) return;
    const { value } = expand(platform);
    if (value === undefined) return;
    try {
      parsePlatform(value);
    } catch (error) {
      if (!isSlipwayError(error)) throw error;
      report('invalid-platform', platform.position, messageOf(error), error.hint ?? 'write linux/amd64');
      return;
    }
    if (!platform.raw.includes('$'))
      report(
        'fixed-platform',
        platform.position,
        `this stage is for ${value}, whatever platform the build is for`,
        'take --platform away; build --platform chooses. For what runs while building, write --platform=$BUILDPLATFORM',
      );
  },
});
