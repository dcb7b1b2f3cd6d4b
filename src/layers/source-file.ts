import { constants } from 'node:fs';
import { errnoOf, fileSystemError, SlipwayError } from '../base/errors.js';

/** O_NONBLOCK: a file that has become a FIFO does not hang us. O_NOFOLLOW: one that has become a link leads nowhere. */
export const SOURCE_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** E_FILE_CHANGED for a file that its owner changed while we took it; `how` says what was seen of that. */
export function fileChanged(file: string, how: string, cause?: unknown): SlipwayError {
  return new SlipwayError('E_FILE_CHANGED', `${file} changed while it was being read: ${how}`, {
    hint: 'stop whatever writes to it and try again',
    cause,
  });
}

/** What an error of opening or reading such a file means: it was there a moment ago, or it would not have been asked for. */
export function sourceFileError(error: unknown, file: string): unknown {
  switch (errnoOf(error)) {
    case 'ENOENT':
    case 'ENOTDIR':
      return fileChanged(file, 'it is gone', error);
    case 'ELOOP':
      return fileChanged(file, 'it is a symbolic link now', error);
    case 'ENAMETOOLONG':
      return new SlipwayError(
        'E_UNSUPPORTED',
        `cannot read …${file.slice(-200)}: the path is too long for this machine`,
        { hint: 'build in a directory with a shorter path', cause: error },
      );
    default:
      return fileSystemError(error, `reading ${file}`);
  }
}
