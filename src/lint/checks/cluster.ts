import { suggest } from '../../base/suggest.js';
import { isKubeVersionRange } from '../../image/applications.js';
import type { Word } from '../../kubefile-parser/parts.js';
import type { Position } from '../../kubefile-parser/position.js';
import type { Check } from '../check.js';
import { commandPaths } from '../command-paths.js';
import { shellTexts } from '../words.js';

/** Directories of people and of build machines: what is in them on one machine is not there on another. */
const PERSONAL = /^(?:~|\$\{?HOME\b|\/(?:home|Users|root|tmp|mnt|media|workspace|builds|github)\/)/;

/** `host-only-path`: launch commands are run in the rootfs, on the first master. */
export const checkHostPaths: Check = ({ kubefile, report }) => {
  if (kubefile.directives.dialect === 'docker') return {};
  return {
    instruction(instruction) {
      const { kind, position } = instruction;
      if (kind !== 'CMD' && kind !== 'CMDS' && kind !== 'APPCMDS') return;
      for (const text of shellTexts(instruction)) {
        for (const path of commandPaths(text)) {
          const message = path.startsWith('../')
            ? `${path} is outside the rootfs`
            : PERSONAL.test(path)
              ? `${path} is a path of one machine; this is run on the first master`
              : undefined;
          if (message !== undefined)
            report(
              'host-only-path',
              position,
              message,
              'copy the file into the image, and name it from the rootfs: launch commands begin there',
            );
        }
      }
    },
  };
};

/** `ignored-instruction` for what the parser does not warn about because stages of a build may want it. */
export const checkIgnored: Check = ({ kubefile, report }) => {
  if (kubefile.directives.dialect === 'docker') return {};
  return {
    instruction(instruction, { index }) {
      if (instruction.kind === 'ENTRYPOINT' && index === kubefile.stages.length - 1)
        report(
          'ignored-instruction',
          instruction.position,
          'ENTRYPOINT has no effect: a ClusterImage is not started as a container',
          'write CMD for what is to run when the cluster is up',
          'info',
        );
    },
  };
};

/** `unknown-application` and `invalid-kube-version`. */
export const checkApplications: Check = ({ report }) => {
  const declared = new Map<number, Set<string>>();
  return {
    from(_from, { index, base }) {
      declared.set(index, new Set(base.kind === 'stage' ? declared.get(base.index) : []));
    },
    instruction(instruction, scope) {
      const apps = declared.get(scope.index);
      if (apps === undefined) return;
      const expanded = (word: Word): string | undefined => scope.expand(word).value;
      const look = (name: string | undefined, at: Position): void => {
        if (name === undefined || apps.has(name)) return;
        const near = suggest(name, apps);
        // The base image may have brought it.
        if (!scope.selfContained && near === undefined) return;
        report(
          'unknown-application',
          at,
          `no APP is called ${name}`,
          near === undefined ? `declare it before: APP ${name} local://…` : `did you mean ${near}?`,
        );
      };
      switch (instruction.kind) {
        case 'APP':
        case 'CNI':
        case 'CSI': {
          const name = expanded(instruction.name);
          if (name !== undefined) apps.add(name);
          break;
        }
        case 'LAUNCH':
          for (const name of instruction.apps) look(name, instruction.position);
          break;
        case 'APPCMDS':
        case 'APPENV':
          look(expanded(instruction.name), instruction.name.position);
          break;
        case 'KUBEVERSION': {
          const range = expanded(instruction.constraint);
          if (range !== undefined && !isKubeVersionRange(range))
            report(
              'invalid-kube-version',
              instruction.constraint.position,
              `${JSON.stringify(range)} is no constraint on a version`,
              'write it like >=1.24.0 <1.31.0',
            );
        }
      }
    },
  };
};
