import { API_SERVER_VIP } from './config.js';

/** Where the balancer's things are on a host. */
export const BALANCER = {
  /** First line `VIP PORT`, then an address of an API server a line: the first one that answers is used. */
  config: '/etc/slipway/apiservers',
  script: '/usr/local/lib/slipway/apiserver-balancer',
  unit: '/etc/systemd/system/slipway-apiserver.service',
  service: 'slipway-apiserver.service',
  chain: 'SLIPWAY-APISERVER',
} as const;

/**
 * Leads an address that exists nowhere (the VIP) to an API server that answers, by a rule of the host's own netfilter.
 *
 * Why like this: kubelet and kube-proxy need one address that never changes, for a pod of the host's network gets a copy of /etc/hosts
 * when it starts and never sees another one. A balancer in a container would need its image, and kubelet, before kubelet has joined. This
 * needs what kubeadm itself insists on (iptables, ip, conntrack) and bash, keeps no connection and copies no byte.
 *
 * `once`: look, set the rule, end. `stop`: take everything away. Without: for ever, every two seconds.
 */
export const BALANCER_SCRIPT = `#!/bin/bash
# Made by slipway: leads the address of the API servers to one that answers. See ${BALANCER.config}.
set -u
config=${BALANCER.config}
chain=${BALANCER.chain}
current=''

answers() {
  timeout 2 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$1" "$port" 2>/dev/null
}

read_config() {
  mapfile -t lines <"$config" || return 1
  read -r vip port <<<"\${lines[0]:-}"
  servers=("\${lines[@]:1}")
  [ -n "$vip" ] && [ -n "$port" ] && [ \${#servers[@]} -gt 0 ]
}

# The route only chooses the sender's address and passes the routing decision; the rule then says where it really goes.
route() {
  local own device
  read -r own device < <(ip -4 -o route get "$1" 2>/dev/null |
    awk '{ for (i = 1; i < NF; i++) { if ($i == "src") s = $(i + 1); if ($i == "dev") d = $(i + 1) } print s, d }')
  [ -n "$own" ] || return 1
  [ "$device" != lo ] || device=$(ip -4 -o addr show | awk -v own="$own" '{ split($4, a, "/"); if (a[1] == own) { print $2; exit } }')
  [ "$(ip -4 route show "$vip/32")" = "$vip dev $device scope link src $own " ] ||
    ip -4 route replace "$vip/32" dev "$device" scope link src "$own"
}

lead_to() {
  local before
  before=$(iptables -w 5 -t nat -S "$chain" 2>/dev/null | sed -n 's/.*--to-destination \\([0-9.]*\\):.*/\\1/p')
  route "$1" || return 1
  iptables -w 5 -t nat -N "$chain" 2>/dev/null
  iptables -w 5 -t nat -R "$chain" 1 -p tcp -j DNAT --to-destination "$1:$port" 2>/dev/null ||
    iptables -w 5 -t nat -A "$chain" -p tcp -j DNAT --to-destination "$1:$port" || return 1
  iptables -w 5 -t nat -C OUTPUT -d "$vip/32" -p tcp --dport "$port" -j "$chain" 2>/dev/null ||
    iptables -w 5 -t nat -I OUTPUT -d "$vip/32" -p tcp --dport "$port" -j "$chain" || return 1
  # What still talks to the one that is gone is told at once (the next packet meets the other one), not when it gives up.
  if [ -n "$before" ] && [ "$before" != "$1" ]; then
    echo "the API server at $1 instead of $before"
    conntrack -D -p tcp -d "$vip" --dport "$port" >/dev/null 2>&1 || true
  fi
}

in_place() {
  iptables -w 5 -t nat -S "$chain" 2>/dev/null | grep -q -- "--to-destination $1:$port\\$" &&
    iptables -w 5 -t nat -C OUTPUT -d "$vip/32" -p tcp --dport "$port" -j "$chain" 2>/dev/null &&
    [ -n "$(ip -4 route show "$vip/32")" ]
}

# One that does not answer gets a second chance before another one is taken.
choose() {
  local server
  for server in "\${servers[@]}"; do
    if answers "$server" || { [ "$server" = "$current" ] && sleep 1 && answers "$server"; }; then
      printf '%s\\n' "$server"
      return
    fi
  done
  printf '%s\\n' "\${current:-\${servers[0]}}"
}

look() {
  local server
  read_config || return 1
  server=$(choose)
  if [ "$server" != "$current" ] || ! in_place "$server"; then
    lead_to "$server" && current=$server
  fi
}

# By the name of the chain, not by the configuration: that may be gone.
stop() {
  local rule
  while rule=$(iptables -w 5 -t nat -S OUTPUT 2>/dev/null | grep -m 1 -- "-j $chain$"); do
    # shellcheck disable=SC2086 # a rule is words
    iptables -w 5 -t nat -D \${rule#-A } || break
  done
  ip -4 route del ${API_SERVER_VIP}/32 2>/dev/null
  iptables -w 5 -t nat -F "$chain" 2>/dev/null && iptables -w 5 -t nat -X "$chain"
  true
}

case \${1:-} in
  once) look ;;
  stop) stop ;;
  *)
    while :; do
      look
      sleep 2
    done
    ;;
esac
`;

/** Runs the balancer from the start of the host, before kubelet needs it. */
export const BALANCER_UNIT = `# Made by slipway
[Unit]
Description=The way to the API servers of the Kubernetes cluster
Wants=network-online.target
After=network-online.target
Before=kubelet.service

[Service]
ExecStart=${BALANCER.script}
ExecStopPost=${BALANCER.script} stop
Restart=always
RestartSec=2

[Install]
WantedBy=multi-user.target
`;
