import http from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/**
 * A proxy that brings everybody who asks for whatever host to one address: what it is asked for is not loopback. Ended with the test.
 * @param connected is given the hosts that were asked for.
 * @returns its URL.
 */
export async function tunnelTo(address: string, connected: string[] = []): Promise<string> {
  const [host, port] = address.split(':');
  const proxy = http.createServer();
  const sockets = new Set<Socket>();
  proxy.on('connect', (request, client: Socket) => {
    connected.push(request.url ?? '');
    const upstream = connect(Number(port), host, () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n');
      client.pipe(upstream).pipe(client);
    });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
    }
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => proxy.close(() => resolve()).closeAllConnections());
  });
  return `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
}
