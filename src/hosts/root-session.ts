import type { Readable, Writable } from 'node:stream';
import { isSlipwayError, messageOf, SlipwayError } from '../base/errors.js';
import { LastLines, textDecoder } from './output.js';
import {
  BEGIN,
  type Elevation,
  FIRST_COMMAND,
  header,
  KEEPER,
  KEEPER_READY,
  rootCommand,
  SUDO_PROMPT,
} from './root-shell.js';
import { SCRIPT_END } from './shell-script.js';
import { Slots } from './slots.js';
import { ChannelRefused, type ExecChannel, type ExitStatus, type Transport } from './transport.js';

/** sshd's MaxSessions is 10 by default: eight commands, the keeper, and one to spare. */
const MAX_COMMANDS = 8;
const PING_MS = 10_000;
/** So often a channel may be refused while no other is open, over one and a half seconds. */
const REFUSALS = 6;
/** How much noise a login shell may print before our first line. */
const MAX_NOISE = 256 * 1024;

/** A script that runs as root. */
export interface RunningScript {
  /** What the script reads; ended by the caller. */
  readonly stdin: Writable;
  /** Both are to be read to their end. stdout begins with {@link BEGIN}, see {@link afterBegin}. */
  readonly stdout: Readable;
  readonly stderr: Readable;
  readonly exited: Promise<ExitStatus>;
  readonly closed: Promise<void>;
  /** Ends every process of the script: TERM, KILL after five seconds. Returns at once. */
  stop(): void;
  /** Gives the channel back. To be called in every case, once. */
  release(): void;
}

/**
 * A root shell service on one connection: finds out how to become root, keeps the keeper (see root-shell.ts) alive, and
 * starts scripts, at most eight at once.
 */
export class RootSession {
  readonly #transport: Transport;
  readonly #keeper: ExecChannel;
  readonly #elevation: Elevation;
  readonly #directory: string;
  readonly #sudoPassword: string | undefined;
  readonly #slots = new Slots(MAX_COMMANDS);
  readonly #ping: NodeJS.Timeout;
  #lastId = 0;
  /** Commands that have a channel now, and how many ever had. */
  #running = 0;
  #opened = 0;
  #ended = false;
  #closing = false;

  private constructor(
    transport: Transport,
    keeper: ExecChannel,
    {
      elevation,
      directory,
      sudoPassword,
    }: { elevation: Elevation; directory: string; sudoPassword: string | undefined },
  ) {
    this.#transport = transport;
    this.#keeper = keeper;
    this.#elevation = elevation;
    this.#directory = directory;
    this.#sudoPassword = sudoPassword;
    this.#ping = setInterval(() => this.#tell('ping'), PING_MS);
    this.#ping.unref();
    const over = (): void => {
      this.#ended = true;
      clearInterval(this.#ping);
      // without a keeper nothing would end the commands: the connection goes with it
      void transport.close();
    };
    keeper.exited.then(over, over);
  }

  /** True when the connection is gone; a new session is needed. */
  get ended(): boolean {
    return this.#ended;
  }

  /**
   * Becomes root and starts the keeper. Sends the sudo password once, and only when sudo asks.
   * @throws SlipwayError E_HOST_UNREACHABLE, E_HOST_AUTH (sudo missing, refused, or a wrong password), E_HOST_KEY,
   * E_TIMEOUT when the login does not get to a shell within `timeoutMs`
   */
  static async open(
    transport: Transport,
    { sudoPassword, timeoutMs }: { readonly sudoPassword: string | undefined; readonly timeoutMs: number },
  ): Promise<RootSession> {
    const keeper = await transport.exec(FIRST_COMMAND).catch((error: unknown) => {
      throw error instanceof ChannelRefused ? sessionsRefused(transport, error) : error;
    });
    keeper.stdin.on('error', () => {});
    let timer: NodeJS.Timeout | undefined;
    try {
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => {
          reject(
            new SlipwayError('E_TIMEOUT', `${transport.name}: no root shell within ${Math.ceil(timeoutMs / 1000)} s`, {
              hint: 'log in by hand and look at what the login shell, sudo or PAM waits for',
            }),
          );
        }, timeoutMs);
      });
      const { asked, ready } = await Promise.race([introduce(transport, keeper, sudoPassword), late]);
      return new RootSession(transport, keeper, {
        elevation: ready.how === 'root' ? 'root' : asked ? 'sudo-password' : 'sudo',
        directory: ready.directory,
        sudoPassword,
      });
    } catch (error) {
      keeper.close();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Starts a composed script. Waits for a free channel first.
   * @throws SlipwayError as {@link Transport.exec}; the signal's reason when it is aborted while waiting
   */
  async start(
    script: Buffer,
    { stdin, signal }: { readonly stdin: boolean; readonly signal?: AbortSignal | undefined },
  ): Promise<RunningScript> {
    const channel = await this.#channel(signal);
    const id = ++this.#lastId;
    const prefix = this.#elevation === 'sudo-password' ? `${this.#sudoPassword ?? ''}\n` : '';
    channel.stdin.on('error', () => {});
    channel.stdin.write(prefix + header({ directory: this.#directory, id }, script.length, stdin));
    channel.stdin.write(script);
    return {
      stdin: channel.stdin,
      stdout: channel.stdout,
      stderr: channel.stderr,
      exited: channel.exited.then((status) => {
        // the keeper ends what runs when the session is closed: that is no failure of the script
        if (!this.#closing) return status;
        throw new SlipwayError('E_HOST_UNREACHABLE', `${this.#transport.name}: the connection was closed`);
      }),
      closed: channel.closed,
      stop: () => this.#tell(`stop ${id}`),
      release: () => {
        channel.close();
        this.#running--;
        this.#slots.free();
      },
    };
  }

  /** Ends the session; what still runs is ended by the keeper. */
  async close(): Promise<void> {
    this.#closing = true;
    clearInterval(this.#ping);
    if (!this.#ended) this.#keeper.stdin.end();
    await this.#transport.close();
  }

  #tell(line: string): void {
    if (!this.#ended) this.#keeper.stdin.write(`${line}\n`);
  }

  /**
   * A channel for a command. A host that allows fewer at once than we thought (or has not yet let go of one that has
   * ended) is asked again until others of ours have ended; when none of ours is left, for a moment longer.
   */
  async #channel(signal: AbortSignal | undefined): Promise<ExecChannel> {
    await this.#slots.take(signal);
    try {
      let alone = 0;
      let opened = this.#opened;
      for (let pause = 25; ; pause = Math.min(2 * pause, 800)) {
        try {
          const channel = await this.#transport.exec(rootCommand(this.#elevation));
          this.#running++;
          this.#opened++;
          return channel;
        } catch (error) {
          if (!(error instanceof ChannelRefused)) throw error;
          alone = this.#running > 0 || this.#opened > opened ? 0 : alone + 1;
          opened = this.#opened;
          if (alone > REFUSALS) throw sessionsRefused(this.#transport, error);
        }
        await new Promise((resolve) => setTimeout(resolve, pause));
        signal?.throwIfAborted();
      }
    } catch (error) {
      this.#slots.free();
      throw error;
    }
  }
}

function sessionsRefused(transport: Transport, cause: Error): SlipwayError {
  return new SlipwayError(
    'E_HOST_UNREACHABLE',
    `${transport.name}: the SSH server opens no session: ${cause.message}`,
    {
      hint: 'MaxSessions in the host’s sshd_config must be at least 2, and the user must be allowed to run commands',
      cause,
    },
  );
}

/** Talks to the login shell, sudo and the keeper until the keeper has said where commands register. */
async function introduce(
  transport: Transport,
  keeper: ExecChannel,
  sudoPassword: string | undefined,
): Promise<{ asked: boolean; ready: { how: string; directory: string } }> {
  return await new Promise((resolve, reject) => {
    let stdout = '';
    let stderr = '';
    let asked = false;
    let begun = false;
    const said = new LastLines(5);
    const refuse = (why: string, hint: string): void => {
      reject(new SlipwayError('E_HOST_AUTH', `${transport.name}: ${why}`, { hint }));
    };
    const out = textDecoder((text) => {
      stdout = (stdout + text).slice(-MAX_NOISE);
      if (!begun && stdout.includes(`${BEGIN}\n`)) {
        begun = true;
        const script = Buffer.from(`${KEEPER}\n${SCRIPT_END}`);
        keeper.stdin.write(header(undefined, script.length, true));
        keeper.stdin.write(script);
      }
      const [, uid, how, directory] = KEEPER_READY.exec(stdout) ?? [];
      if (how === undefined || directory === undefined) {
        if (!begun) said.push(text, 'stdout');
      } else if (uid === '0') {
        resolve({ asked, ready: { how, directory } });
      } else {
        refuse(`sudo gave a shell of uid ${uid}, not of root`, 'the login user needs a sudo rule that makes it root');
      }
    });
    const err = textDecoder((text) => {
      const before = stderr;
      stderr = (stderr + text).slice(-MAX_NOISE);
      said.push(text.replaceAll(SUDO_PROMPT, ''), 'stderr');
      const prompts = count(stderr, SUDO_PROMPT);
      if (begun || prompts === count(before, SUDO_PROMPT)) return;
      if (prompts > 1) return refuse('the sudo password is wrong', 'give the right one as the sudo password');
      if (sudoPassword === undefined) {
        return refuse('sudo asks for a password and none was given', 'give the sudo password, or allow NOPASSWD');
      }
      asked = true;
      keeper.stdin.write(`${sudoPassword}\n`);
    });
    keeper.stdout.on('data', out.push);
    keeper.stderr.on('data', err.push);
    keeper.exited.then(
      () =>
        keeper.closed.then(() => {
          const lines = said.lines().join('; ').trim();
          refuse(
            `the login gets no root shell${lines === '' ? '' : `: ${lines}`}`,
            'log in as root, or as a user whom sudo makes root',
          );
        }),
      (error: unknown) => {
        reject(
          isSlipwayError(error)
            ? error
            : new SlipwayError('E_HOST_UNREACHABLE', `${transport.name}: ${messageOf(error)}`, { cause: error }),
        );
      },
    );
  });
}

function count(text: string, part: string): number {
  return text.split(part).length - 1;
}

/**
 * Takes everything up to and with the {@link BEGIN} line off what a root shell prints on stdout (a login shell's start-up
 * files may print there) and gives the rest to `deliver`. A failure before `begun` is the login's or sudo's, not the
 * script's.
 */
export function afterBegin(deliver: (chunk: Buffer) => void): { push(chunk: Buffer): void; begun(): boolean } {
  const mark = Buffer.from(`${BEGIN}\n`);
  let noise = Buffer.alloc(0);
  let begun = false;
  return {
    push(chunk) {
      if (begun) return deliver(chunk);
      noise = Buffer.concat([noise.subarray(-MAX_NOISE), chunk]);
      const at = noise.indexOf(mark);
      if (at < 0) return;
      begun = true;
      const rest = noise.subarray(at + mark.length);
      noise = Buffer.alloc(0);
      if (rest.length > 0) deliver(rest);
    },
    begun: () => begun,
  };
}
