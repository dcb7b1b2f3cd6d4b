import { realpath, stat } from 'node:fs/promises';
import { errnoOf, messageOf, SlipwayError } from '../../base/errors.js';
import type { Dialect } from '../../kubefile-parser/ast.js';
import { DirectorySource } from '../copy/directory-source.js';
import { type IgnoreRules, openIgnoreRules } from './ignore-rules.js';

/** The directory that COPY takes from. Nothing outside it is ever read: names and links are resolved inside. */
export class BuildContext extends DirectorySource {
  private constructor(root: string, rules: IgnoreRules | undefined, dialect: Dialect) {
    // setuid and setgid are not taken: nobody asked for them on the cluster's hosts
    super(
      root,
      `the build context ${root}`,
      ({ mode }) => mode & 0o1777,
      rules,
      dialect === 'docker' ? 'root' : 'refused',
    );
  }

  /**
   * @param dir the context directory. @param kubefile path of the Kubefile, whose own ignore file wins.
   * @param dialect with Docker's rules `../x` is `x`; else it is refused: it is not what it says.
   * @throws SlipwayError E_NOT_FOUND when `dir` is not a directory.
   */
  static async open(dir: string, kubefile: string, dialect: Dialect): Promise<BuildContext> {
    let root: string;
    try {
      root = await realpath(dir);
      if (!(await stat(root)).isDirectory()) throw new Error('it is not a directory');
    } catch (cause) {
      throw new SlipwayError(
        'E_NOT_FOUND',
        `build context ${dir}: ${errnoOf(cause) === 'ENOENT' ? 'no such directory' : messageOf(cause)}`,
        { cause },
      );
    }
    return new BuildContext(root, await openIgnoreRules(root, kubefile), dialect);
  }
}
