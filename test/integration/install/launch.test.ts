// What is launched on the first master, with this machine as the master and a kubectl that notes how it was called.
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { silentReporter } from '../../../src/base/reporter.js';
import { connectHost } from '../../../src/hosts/connect.js';
import type { Application } from '../../../src/image/cluster-image.js';
import { launchPhase } from '../../../src/install/phases/launch.js';
import { type ExecuteOutcome, execute } from '../../../src/install/plan/execute.js';
import { makePlan } from '../../../src/install/plan/plan.js';
import { hostPaths } from '../../../src/install/state/cluster-paths.js';
import { Journal, lastEvents, readJournal } from '../../../src/install/state/journal.js';
import type { InstallWork } from '../../../src/install/work.js';
import { tempDirectory } from '../../support/temp.js';

const scratch = tempDirectory('slipway-launch-');
const host = connectHost('127.0.0.1');
afterAll(() => host.close());

const paths = hostPaths(join(scratch, 'root'), 'prod');
const calls = join(scratch, 'calls');
const KUBECTL = `#!/bin/sh\necho "$(pwd) $* A=$A KUBECONFIG=$KUBECONFIG" >> ${calls}\n[ "$1" != fail ] || [ -e ${scratch}/mended ]\n`;

function write(path: string, text: string): void {
  mkdirSync(dirname(join(paths.rootfs, path)), { recursive: true });
  writeFileSync(join(paths.rootfs, path), text);
}

const applications: Application[] = [
  { name: 'web', type: 'kube', files: ["/it's.yaml", 'sub/b.yaml'], env: { A: 'of web' } },
  { name: 'tool', type: 'shell', files: ['one.sh', 'two.sh'] },
  { name: 'idle', type: 'kube', files: ['x.yaml'] },
];

/** What the cluster notes of what was launched: the part of kubectl that is asked for it. */
const notes: Record<string, string> = {};
async function clusterNotes(_host: unknown, _rootfs: string, args: readonly string[]): Promise<{ stdout: string }> {
  if (args.includes('patch')) Object.assign(notes, (JSON.parse(args.at(-1) ?? '') as { data: object }).data);
  return {
    stdout: Object.entries(notes)
      .map((pair) => `${pair.join('=')}\n`)
      .join(''),
  };
}

/** As much of an installation as launching needs. */
function work(given: Partial<InstallWork['spec']> = {}): InstallWork {
  const env = { A: 'of the image', SECRET_TOKEN: 'x' };
  return {
    spec: given,
    image: {
      name: 'k8s:v1',
      launchCmds: ['kubectl get ns'],
      launchApps: ['web', 'tool'],
      applications,
      rootfs: { digest: 'sha256:one' },
    },
    cluster: { env },
    entry: {
      address: '127.0.0.1',
      host,
      env,
      applicationEnvs: new Map(applications.map((app) => [app.name, { ...env, ...app.env }])),
    },
    driver: { adminKubeconfig: '/etc/kubernetes/admin.conf', kubectl: clusterNotes },
    paths,
  } as unknown as InstallWork;
}

async function launch(given?: Partial<InstallWork['spec']>): Promise<ExecuteOutcome> {
  const file = join(scratch, 'journal.jsonl');
  const done = lastEvents(await readJournal(file));
  const journal = await Journal.open(file, 'run');
  try {
    return await execute(makePlan([launchPhase], work(given)), {
      journal,
      done,
      logs: new Map(),
      reporter: silentReporter,
      concurrency: 4,
      critical: new Set(['127.0.0.1']),
      signal: new AbortController().signal,
      again: 'slipway run',
    });
  } finally {
    await journal.close();
  }
}

const called = (): string[] =>
  existsSync(calls)
    ? readFileSync(calls, 'utf8').trim().replaceAll(`${paths.rootfs}/`, '').replaceAll(paths.rootfs, '.').split('\n')
    : [];

it('runs commands in the rootfs and applications in their directories, and goes on where it stopped', async () => {
  write('bin/kubectl', KUBECTL);
  chmodSync(join(paths.rootfs, 'bin/kubectl'), 0o755);
  write("application/apps/web/it's.yaml", '');
  write('application/apps/tool/one.sh', 'kubectl one');
  write('application/apps/idle/x.yaml', '');
  write('application/apps/tool/two.sh', 'kubectl fail');

  const plan = makePlan([launchPhase], work());
  expect(plan.flatMap(({ steps }) => steps.map(({ title, why }) => `${title} (${why})`))).toEqual([
    'kubectl get ns (a command of the image)',
    "web: kubectl apply -f 'it'\\''s.yaml' && kubectl apply -f sub/b.yaml (starts the application web)",
    'tool: bash one.sh (starts the application tool)',
    'tool: bash two.sh (starts the application tool)',
  ]);

  await expect(launch()).rejects.toThrow(/two\.sh/);
  const KUBECONFIG = 'KUBECONFIG=/etc/kubernetes/admin.conf';
  expect(called()).toEqual([
    `. get ns A=of the image ${KUBECONFIG}`,
    `application/apps/web apply -f it's.yaml A=of web ${KUBECONFIG}`,
    `application/apps/web apply -f sub/b.yaml A=of web ${KUBECONFIG}`,
    `application/apps/tool one A=of the image ${KUBECONFIG}`,
    `application/apps/tool fail A=of the image ${KUBECONFIG}`,
  ]);

  writeFileSync(join(scratch, 'mended'), '');
  writeFileSync(calls, '');
  expect(await launch()).toMatchObject({ ran: 1, skipped: 3 });
  expect(called()).toEqual([`application/apps/tool fail A=of the image ${KUBECONFIG}`]);
  expect(await launch()).toMatchObject({ ran: 0, skipped: 4 });

  writeFileSync(calls, '');
  await launch({ apps: ['idle'] });
  expect(called()).toEqual([`application/apps/idle apply -f x.yaml A=of the image ${KUBECONFIG}`]);
});
