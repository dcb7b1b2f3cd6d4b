import type { CommandResult, Host, RunOptions } from '../../src/hosts/host.js';

/** What a host was asked, by the title of the command. */
export interface StubHost extends Host {
  readonly asked: string[];
  readonly files: Map<string, string>;
}

/**
 * A host that answers as a test says, for what no real one would do on demand. `answer` is given the title of a command and its script;
 * undefined: it ends well, and prints nothing.
 */
export function stubHost(
  address: string,
  answer: (title: string, script: string) => Partial<CommandResult> | undefined,
): StubHost {
  const asked: string[] = [];
  const files = new Map<string, string>();
  const host = {
    address,
    asked,
    files,
    run: async (script: string, { title = '', stdout: sink }: RunOptions = {}) => {
      asked.push(title);
      const result = { code: 0, stdout: '', stderr: '', ...answer(title, script) };
      sink?.write(result.stdout);
      return result;
    },
    exists: async (path: string) => files.has(path),
    readFile: async (path: string) => {
      const text = files.get(path);
      return text === undefined ? undefined : Buffer.from(text);
    },
    writeFile: async (path: string, content: string | Uint8Array) => {
      files.set(path, Buffer.from(content as Uint8Array).toString('utf8'));
    },
  };
  return host as unknown as StubHost;
}
