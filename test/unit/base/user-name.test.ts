import { userInfo } from 'node:os';
import { expect, it, vi } from 'vitest';
import { userName } from '../../../src/base/user-name.js';

vi.mock('node:os', { spy: true });

it('is the name of a user, or the number of one who has none', async () => {
  expect(await userName(process.getuid?.() ?? 0)).toBe(userInfo().username);
  expect(await userName(0)).toBe('root');
  expect(await userName(54_321)).toBe('uid=54321');
});

it('is the number of the one who asks, when nobody has given him a name', async () => {
  vi.mocked(userInfo).mockImplementation(() => {
    throw new Error('ENOENT: no such file or directory, uv_os_get_passwd');
  });
  const uid = process.getuid?.() ?? 0;
  expect(await userName(uid)).toBe(`uid=${uid}`);
});
