import type { IgnoredInstruction, MaintainerInstruction, UserInstruction, WorkdirInstruction } from '../ast.js';
import { readFlags } from '../flags.js';
import { isIgnored } from '../keywords.js';
import type { StatementReader } from '../statement-reader.js';
import { node } from './node.js';

/** `MAINTAINER NAME`: the rest of the line, as it is. */
export function parseMaintainer(reader: StatementReader): MaintainerInstruction | undefined {
  readFlags(reader, {});
  if (reader.isEmpty) return reader.missing('a name', 'write MAINTAINER NAME <ADDRESS>');
  return { ...node('MAINTAINER', reader), name: reader.args };
}

/** `WORKDIR PATH`: the rest of the line, blanks included. */
export function parseWorkdir(reader: StatementReader): WorkdirInstruction | undefined {
  readFlags(reader, {});
  if (reader.isEmpty) return reader.missing('a path', 'write WORKDIR /PATH');
  const path = reader.rest();
  return path === undefined ? undefined : { ...node('WORKDIR', reader), path };
}

/** `USER USER[:GROUP]`. */
export function parseUser(reader: StatementReader): UserInstruction | undefined {
  readFlags(reader, {});
  if (reader.isEmpty) return reader.missing('a user', 'write USER NAME or USER UID:GID');
  const user = reader.rest();
  return user === undefined ? undefined : { ...node('USER', reader), user };
}

/** An instruction of Docker that a ClusterImage has no use for. Its arguments are not looked at: with Docker's rules the builder does. */
export function parseIgnored(reader: StatementReader): IgnoredInstruction | undefined {
  const { keyword } = reader;
  if (!isIgnored(keyword)) return undefined;
  if (reader.isEmpty)
    return reader.missing('an argument', `take the ${keyword} away: a ClusterImage has no use for it`);
  if (reader.dialect === 'kubefile')
    reader.warn(
      'ignored-instruction',
      reader.statement.start,
      `${keyword} has no effect: a ClusterImage has no use for it`,
      `take the ${keyword} away`,
    );
  return { ...node('IGNORED', reader), name: keyword, text: reader.args, heredocs: reader.heredocs(false) };
}
