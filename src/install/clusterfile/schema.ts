import * as z from 'zod';
import { CONFIG_PROCESSES, isConfigProcess } from '../spec/cluster-spec.js';
import { LABEL_NAME, LABEL_VALUE, TAINT } from '../spec/node-marks.js';
import { barredPattern, barredWords, unknownWord } from './choice.js';
import { SEALER_API } from './plugin-schema.js';

/** What the Clusterfile's own documents may say. Field names are sealer's. */

const secret = z
  .union(
    [z.string(), z.strictObject({ file: z.string().min(1).describe('a file with the secret in its first line') })],
    'write the text itself, "${env:NAME}", or { file: PATH }',
  )
  .describe('a secret: the text itself, "${env:NAME}", or { file: PATH }');

const NOT_A_PORT = 'a port is a number from 1 to 65535';
const port = z
  .union([z.int(), z.string().regex(/^\d+$/, NOT_A_PORT)], NOT_A_PORT)
  .transform(Number)
  .refine((number) => number >= 1 && number <= 65535, NOT_A_PORT);

const env = z
  .array(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*=/, 'write it NAME=VALUE'))
  .describe('variables for scripts and templates, each NAME=VALUE; "${env:NAME}" stands for one of this machine');

const bastion = z
  .strictObject({
    host: z.string().min(1).describe('its name or address'),
    user: z.string().min(1).optional().describe('who logs in there; root when not given'),
    port: port.optional(),
    passwd: secret.optional(),
    pk: z.string().min(1).optional().describe('private key, a path on this machine; that of the hosts when not given'),
    pkPasswd: secret.optional().describe('passphrase of the private key'),
  })
  .describe('a machine that the hosts are reached through');

const ssh = z.strictObject({
  user: z.string().min(1).optional().describe('who logs in; root when not given. Others use sudo'),
  passwd: secret.optional(),
  pk: z.string().min(1).optional().describe('private key, a path on this machine'),
  pkPasswd: secret.optional().describe('passphrase of the private key'),
  port: port.optional(),
  sudoPasswd: secret.optional().describe('password for sudo; passwd when not given'),
  knownHosts: z
    .string()
    .min(1)
    .optional()
    .describe('a file of host keys, as ssh keeps them, instead of ~/.ssh/known_hosts; a path on this machine'),
  bastion: bastion.optional(),
});

/** As Kubernetes has it: labels and selectors, syntax and character set. */
const labels = z
  .record(
    z.string().regex(LABEL_NAME, 'not a name of a label'),
    z.string().regex(LABEL_VALUE, 'not a value of a label'),
  )
  .describe('labels of the nodes; one that is taken out here is taken away there');

/** `key=value:Effect`, `key:Effect`; with a `-` behind it: there shall be no such taint. */
const taint = z
  .string()
  .regex(
    TAINT,
    'write it KEY=VALUE:EFFECT or KEY:EFFECT, where EFFECT is NoSchedule, PreferNoSchedule or NoExecute; with a "-" behind it the taint is taken away',
  );

const host = z.strictObject({
  ips: z
    .array(z.string().min(1))
    .min(1, 'a host needs an address')
    .describe('addresses, or ranges of them: 10.0.0.2, 10.0.0.5-10.0.0.9'),
  roles: z
    .array(z.string().min(1))
    .min(1, 'a host needs a role')
    .describe('master, or node; other names only scope hooks'),
  ssh: ssh.optional(),
  env: env.optional(),
  labels: labels.optional(),
  taints: z.array(taint).optional(),
});

const hostAlias = z.strictObject({
  ip: z.string().min(1),
  hostnames: z.array(z.string().regex(/^[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?$/, 'not a host name')).min(1),
});

const insecure = z.boolean().optional().describe('without TLS: for networks in which nobody listens or lies');

const localRegistry = z.strictObject({
  domain: z.string().optional(),
  port: port.optional(),
  username: z.string().min(1).optional(),
  password: secret.optional(),
  ha: z.boolean().optional().describe('every master serves it, not only the first'),
  insecure,
  cert: z
    .strictObject({
      subjectAltName: z
        .strictObject({ dnsNames: z.array(z.string().min(1)).optional(), ips: z.array(z.string().min(1)).optional() })
        .optional(),
    })
    .optional(),
});

const externalRegistry = z.strictObject({
  domain: z.string().describe('its host name'),
  port: port.optional().describe('443 when not given'),
  username: z.string().min(1).optional(),
  password: secret.optional(),
  insecure,
  ca: z
    .string()
    .min(1)
    .optional()
    .describe(
      'the authority of its certificate, where the hosts do not know it: a file (PEM) on this machine, or the PEM itself',
    ),
});

export const clusterSchema = z.strictObject({
  apiVersion: z.enum(['slipway/v1', 'sealer.io/v2']),
  kind: z.literal('Cluster'),
  metadata: z.strictObject({ name: z.string().min(1).describe('the name of the cluster') }),
  spec: z.strictObject({
    image: z.string().min(1).optional().describe('the ClusterImage, as "slipway images" names it'),
    env: env.optional(),
    cmd: z.array(z.string().min(1)).optional().describe("launch commands instead of the image's"),
    appNames: z
      .array(z.string().min(1))
      .optional()
      .describe('applications to start instead of those that the image starts'),
    dataRoot: z
      .string()
      .regex(/^\/[\w./-]+$/, 'not an absolute path without blanks')
      .optional()
      .describe('where Slipway keeps its things on the hosts; /var/lib/slipway when not given'),
    hosts: z.array(host).min(1, 'a cluster needs a host'),
    ssh: ssh.optional().describe('how hosts are reached that do not say it themselves'),
    hostAliases: z.array(hostAlias).optional().describe('lines for /etc/hosts of every host'),
    containerRuntime: z.strictObject({ type: z.enum(['containerd', 'docker']).optional() }).optional(),
    registry: z
      .strictObject({
        localRegistry: localRegistry.optional().describe('served by masters'),
        externalRegistry: externalRegistry
          .optional()
          .describe('outside of the cluster: gets what the image brings; no master serves one'),
      })
      .optional(),
  }),
});

/** `sealer.io/v1`, which says the same in other words. */
export const clusterV1Schema = z.strictObject({
  apiVersion: z.literal('sealer.io/v1'),
  kind: z.literal('Cluster'),
  metadata: clusterSchema.shape.metadata,
  spec: z.strictObject({
    image: z.string().min(1).optional(),
    env: env.optional(),
    certSANS: z.array(z.string().min(1)).optional(),
    provider: z
      .literal('BAREMETAL', 'hosts must be there already: sealer’s cloud providers are not part of Slipway')
      .optional(),
    ssh: ssh.optional(),
    masters: z.strictObject({ ipList: z.array(z.string().min(1)).min(1) }),
    nodes: z.strictObject({ ipList: z.array(z.string().min(1)) }).optional(),
  }),
});

/** A relative path that stays where it begins. */
const INSIDE = /^(?!\/)(?!.*(?:^|\/)\.\.?(?:\/|$))(?!.*\/\/).*[^/]$/;
const fileData = z
  .string()
  .describe('what is in it; with the strategy merge: YAML that is laid over what the image has');
const strategy = z.enum(['overwrite', 'merge']).optional();

export const configSchema = z.strictObject({
  apiVersion: z.string().regex(SEALER_API, 'write slipway/v1'),
  kind: z.literal('Config'),
  metadata: z.strictObject({ name: z.string().min(1) }),
  spec: z.strictObject({
    path: z
      .string()
      .regex(INSIDE, 'a path in the rootfs, such as etc/my.yaml, without ".."')
      .describe('a file of the rootfs'),
    data: fileData,
    strategy: strategy.describe(
      'merge lays the data over every YAML document that the image has there; overwrite when not given',
    ),
    process: z
      .string()
      .superRefine((text, context) => {
        for (const word of barredWords(text))
          if (!isConfigProcess(word)) context.addIssue(unknownWord('process', word, CONFIG_PROCESSES));
      })
      .meta({ pattern: barredPattern(CONFIG_PROCESSES) })
      .optional()
      .describe(
        'what is done with the data first, one after the other with "|" between: value|toJson|toBase64|toSecret',
      ),
  }),
});

const commands = z.strictObject({ cmds: z.array(z.string().min(1)).min(1, 'a command is missing') });

const appConfig = z.strictObject({
  name: z.string().min(1).describe('the name that the application has in its image'),
  env: env.optional().describe('variables for its commands and templates, each NAME=VALUE; they beat all others'),
  files: z
    .array(
      z.strictObject({
        path: z
          .string()
          .regex(INSIDE, 'a path in the directory of the application, such as values.yaml, without ".."')
          .describe('a file of the application'),
        data: fileData,
        strategy,
      }),
    )
    .optional()
    .describe('files instead of those of the image, or over them'),
  launch: commands.optional().describe('commands that start it, instead of those of the image'),
  delete: commands.optional().describe('commands that take it away, for "slipway delete-app"'),
});

export const applicationSchema = z.strictObject({
  apiVersion: z.string().regex(SEALER_API, 'write slipway/v1'),
  kind: z.literal('Application'),
  metadata: z.strictObject({ name: z.string().min(1).describe('the name by which "slipway run-app" installs it') }),
  spec: z.strictObject({
    cmds: z.array(z.string().min(1)).optional().describe("launch commands instead of the image's"),
    launchApps: z
      .array(z.string().min(1))
      .optional()
      .describe('applications to start instead of those that the image starts'),
    configs: z.array(appConfig).optional().describe('what is another one of an application than the image says'),
  }),
});

export type ClusterDocument = z.infer<typeof clusterSchema>;
export type ClusterV1Document = z.infer<typeof clusterV1Schema>;
export type ConfigDocument = z.infer<typeof configSchema>;
export type ApplicationDocument = z.infer<typeof applicationSchema>;
export type SshDocument = z.infer<typeof ssh>;
/** What hosts and bastions have in common. */
export type LoginDocument = Pick<SshDocument, 'user' | 'port' | 'pk' | 'passwd' | 'pkPasswd'>;
export type SecretDocument = z.infer<typeof secret>;
