#!/usr/bin/env node
// A stand-in for helm, for machines that have none: it takes exactly the command line that slipway gives, and replaces
// {{ .Values.a.b }}, {{ .Chart.AppVersion }} and {{ .Capabilities.KubeVersion }} in templates. Everything else of helm's template language is an
// error here. What it proves: how helm is called, in what environment, and what is done with its output. Only helm itself proves rendering.
import { readdirSync, readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';

const fail = (why) => {
  process.stderr.write(`Error: ${why}\n`);
  process.exit(1);
};
const [command, release, chart, ...flags] = process.argv.slice(2);
if (command !== 'template' || !/^[a-z0-9-]{1,53}$/.test(release ?? '')) fail(`unknown command ${command} ${release}`);
const values = parse(read('values.yaml', '{}')) ?? {};
let kubeVersion = 'v1.20.0';
while (flags.length > 0) {
  const [flag, value] = flags.splice(0, 2);
  if (flag === '--values') merge(values, parse(readFileSync(value, 'utf8')));
  else if (flag === '--kube-version') kubeVersion = value;
  else if (flag !== '--namespace') fail(`unknown flag: ${flag}`);
}
for (const name of ['HOME', 'HELM_CACHE_HOME', 'HELM_CONFIG_HOME', 'HELM_DATA_HOME', 'HELM_PLUGINS'])
  if (!process.env[name]?.startsWith(process.cwd())) fail(`${name} is not in the workspace`);
for (const name of ['HTTPS_PROXY', 'https_proxy', 'SECRET_OF_THE_CALLER'])
  if (process.env[name]) fail(`${name} is set`);
if (process.env.EXPECT_NO_NETWORK) fail('the environment of the caller was passed on');
if (Object.keys(networkInterfaces()).some((name) => name !== 'lo')) process.stderr.write('there is a network\n');

const about = parse(read('Chart.yaml'));
for (const file of readdirSync(join(chart, 'templates')).sort()) {
  if (!/\.ya?ml$/.test(file)) continue;
  const text = read(`templates/${file}`).replace(/\{\{-?\s*(.*?)\s*-?\}\}/g, (_, expression) => {
    if (expression === '.Chart.AppVersion') return String(about.appVersion);
    if (expression === '.Capabilities.KubeVersion') return kubeVersion;
    const path = /^\.Values\.([\w.]+)$/.exec(expression)?.[1];
    const value = path?.split('.').reduce((at, key) => at?.[key], values);
    if (value === undefined) fail(`${file}: nil pointer evaluating ${expression}`);
    return String(value);
  });
  process.stdout.write(`---\n# Source: ${about.name}/templates/${file}\n${text}\n`);
}

function read(path, otherwise) {
  try {
    return readFileSync(join(chart, path), 'utf8');
  } catch (error) {
    return otherwise ?? fail(error.message);
  }
}

function merge(into, from) {
  for (const [key, value] of Object.entries(from ?? {})) {
    if (typeof value === 'object' && value !== null && typeof into[key] === 'object') merge(into[key], value);
    else into[key] = value;
  }
}
