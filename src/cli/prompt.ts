import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { SlipwayError } from '../base/errors.js';
import { registerSecret } from '../base/redact.js';
import { interruptSignal } from './interrupt.js';

/** Asks a question on the terminal. */
export function askText(question: string): Promise<string> {
  return ask(question, process.stderr);
}

/** Asks for a secret: what is typed is not shown, and redacted from every message from now on. */
export async function askPassword(question: string): Promise<string> {
  process.stderr.write(question);
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const answer = await ask('', silent);
  process.stderr.write('\n');
  registerSecret(answer);
  return answer;
}

function ask(question: string, output: NodeJS.WritableStream): Promise<string> {
  return new Promise((resolve, reject) => {
    const terminal = createInterface({ input: process.stdin, output, terminal: true, signal: interruptSignal() });
    const noAnswer = (): void => reject(new SlipwayError('E_INTERRUPTED', 'no answer'));
    terminal.on('SIGINT', () => terminal.close());
    terminal.on('close', noAnswer);
    // A terminal that was closed cannot be put back as it was.
    terminal.on('error', noAnswer);
    terminal.question(question, (answer) => {
      resolve(answer);
      terminal.close();
    });
  });
}
