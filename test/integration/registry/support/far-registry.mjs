/**
 * Run in a network namespace that has an address of its own (argument 1): a registry there that sends its clients to 127.0.0.1, where something
 * listens that nobody else should reach. Runs a command against it, `ADDRESS` standing for the registry's address, and prints what came of it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';

const [, , address, trick, ...command] = process.argv;

const listen = async (host, handler) => {
  const server = createServer(handler);
  server.listen(0, host);
  await once(server, 'listening');
  return server.address().port;
};

const reached = [];
const secret = await listen('0.0.0.0', (request, response) => {
  reached.push(`${request.method} ${request.url}`);
  response.end('{"token":"secret"}');
});
const seen = [];
const port = await listen(address, (request, response) => {
  request.resume();
  seen.push(`${request.method} ${request.url}`);
  const target = `http://${trick.split(' ')[1]}:${secret}/secret`;
  const answer = (status, headers = {}) => response.writeHead(status, headers).end();
  switch (trick.split(' ')[0]) {
    case 'redirect':
      return answer(307, { location: target });
    case 'token':
      return answer(401, { 'www-authenticate': `Bearer realm="${target}"` });
    case 'upload':
      return request.method === 'POST' ? answer(202, { location: target }) : answer(404);
    default:
      return answer(500);
  }
});

const words = command.map((word) => word.replace('ADDRESS', `${address}:${port}`));
const child = spawn(words[0], words.slice(1), { stdio: ['ignore', 'ignore', 'pipe'] });
let said = '';
child.stderr.on('data', (text) => {
  said += text;
});
const [code] = await once(child, 'close');
process.stdout.write(JSON.stringify({ code, said, reached, seen }));
process.exit(0);
