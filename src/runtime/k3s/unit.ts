import { type K3sRole, PATHS, UNITS } from './paths.js';

/**
 * The service of k3s, with its settings in a file and none on the command line. `KillMode=process`: pods go on while k3s restarts.
 * Source: k3s, install.sh.
 */
export function k3sUnit(role: K3sRole): string {
  const environment = ['/etc/default/%N', '/etc/sysconfig/%N', `/etc/systemd/system/${UNITS[role]}.env`];
  return `# Made by slipway
[Unit]
Description=Lightweight Kubernetes: ${role}
Documentation=https://k3s.io
Wants=network-online.target
After=network-online.target

[Service]
Type=notify
${environment.map((file) => `EnvironmentFile=-${file}`).join('\n')}
KillMode=process
Delegate=yes
User=root
LimitNOFILE=1048576
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
TimeoutStartSec=0
Restart=always
RestartSec=5s
ExecStartPre=-/sbin/modprobe br_netfilter
ExecStartPre=-/sbin/modprobe overlay
ExecStart=${PATHS.binary} ${role}

[Install]
WantedBy=multi-user.target
`;
}
