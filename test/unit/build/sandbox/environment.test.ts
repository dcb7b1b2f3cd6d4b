import { describe, expect, it } from 'vitest';
import { checkEnvironment, containerEnvironment, hostEnvironment } from '../../../../src/build/sandbox/environment.js';

const place = { home: '/root', hidden: ['/home', '/root', '/tmp'], rootfsBin: '/rootfs/bin' };

describe('the environment of a host mode command', () => {
  it('has of the machine only PATH and the proxies', () => {
    const machine = {
      PATH: '/usr/bin:/bin',
      SECRET: 'x',
      LANG: 'de_DE',
      https_proxy: 'http://proxy:3128',
      NO_PROXY: '',
    };
    expect(hostEnvironment({ A: 'b' }, machine, place)).toEqual({
      A: 'b',
      HOME: '/root',
      PATH: '/usr/bin:/bin:/rootfs/bin',
      https_proxy: 'http://proxy:3128',
    });
  });

  it('leaves directories out of PATH that are empty in the sandbox, and relative ones', () => {
    const PATH = '/root/.pyenv/shims:/usr/bin:.::/home/me/bin:/rootless/bin:/tmp';
    expect(hostEnvironment({}, { PATH }, place).PATH).toBe('/usr/bin:/rootless/bin:/rootfs/bin');
    expect(hostEnvironment({}, { PATH: '/root/bin' }, place).PATH).toMatch(/^\/usr\/local\/sbin:.*:\/rootfs\/bin$/);
  });

  it('lets the Kubefile decide', () => {
    const given = { PATH: '/opt/bin', HOME: '/x', HTTP_PROXY: 'http://mine' };
    expect(hostEnvironment(given, { PATH: '/bin', HTTP_PROXY: 'http://theirs' }, place)).toEqual({
      PATH: '/opt/bin:/rootfs/bin',
      HOME: '/x',
      HTTP_PROXY: 'http://mine',
    });
  });
});

describe('the environment of a container mode command', () => {
  it("has Docker's PATH, the user's home, and nothing else of the machine", () => {
    const environment = containerEnvironment({ A: 'b' }, { PATH: '/only/here', LANG: 'C' }, '/srv/web');
    expect(environment).toEqual({
      A: 'b',
      HOME: '/srv/web',
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    });
  });
});

it.each([{ '': 'x' }, { 'A=B': 'x' }, { A: 'x\0y' }, { 'A\0': '' }])('%j is no environment', (given) => {
  expect(() => checkEnvironment(given as Record<string, string>)).toThrow(expect.objectContaining({ code: 'E_USAGE' }));
});
