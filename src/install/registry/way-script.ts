/** Where on a host the things are that keep its way to the registry open, and the block of /etc/hosts that they write. */
export const WAY = {
  /** First line `DOMAIN PORT`, then an address of a registry a line: the first one that answers is used. */
  config: '/etc/slipway/registries',
  script: '/usr/local/lib/slipway/registry-way',
  unit: '/etc/systemd/system/slipway-registry-way.service',
  service: 'slipway-registry-way.service',
  /** The name of our block in /etc/hosts. */
  block: 'registry',
} as const;

/**
 * Lets the registry's name on a host stand for a registry that answers, in /etc/hosts.
 *
 * Why like this: whatever pulls on a host (containerd, docker, k3s) looks the name up for each connection, and by the name it checks the
 * certificate; so nothing needs several endpoints, which not all of them have. Nor is it enough to name several to containerd: it waits for
 * one that is switched off until the whole pull has run out of time. What pulls from the one that is gone is told at once (`ss -K`), where the
 * kernel can.
 *
 * `once`: look, write, end. Without: for ever, every two seconds.
 */
export const WAY_SCRIPT = `#!/bin/bash
# Made by slipway: lets the name of the cluster's registry stand for one that answers. See ${WAY.config}.
set -u
config=\${SLIPWAY_REGISTRIES_FILE:-${WAY.config}}
hosts=\${SLIPWAY_HOSTS_FILE:-/etc/hosts}
begin='# BEGIN slipway ${WAY.block}'
end='# END slipway ${WAY.block}'

answers() {
  timeout 2 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$1" "$port" 2>/dev/null
}

read_config() {
  mapfile -t lines <"$config" || return 1
  read -r domain port <<<"\${lines[0]:-}"
  servers=("\${lines[@]:1}")
  [ -n "$domain" ] && [ -n "$port" ] && [ \${#servers[@]} -gt 0 ]
}

# What the file says now.
current() {
  awk -v begin="$begin" -v end="$end" '$0 == end { inside = 0 } inside { print; exit } $0 == begin { inside = 1 }' "$hosts"
}

# The whole file anew: our line in its place, or at the end; everything else stays as it is.
lead_to() {
  local new before=$1 server=$2
  new=$(mktemp "$hosts.slipway.XXXXXX") || return 1
  cp "$hosts" "$new.seen" &&
    awk -v begin="$begin" -v end="$end" -v line="$server $domain" '
      function ours() { if (!done) print begin "\\n" line "\\n" end; done = 1 }
      # Of a block whose end somebody deleted only the first line is surely ours. Comments are never.
      function unclosed() { printf "%s", inside ? all : ""; inside = 0 }
      inside && $0 == end { printf "%s", comments; inside = 0; next }
      index($0, "# BEGIN slipway ") == 1 { unclosed() }
      $0 == begin { inside = 1; all = comments = ""; ours(); next }
      inside {
        if (inside++ > 1 || /^#/) all = all $0 "\\n"
        if (/^#/) comments = comments $0 "\\n"
        next
      }
      { print }
      END { unclosed(); ours() }' "$new.seen" >"$new" &&
    chmod 644 "$new" &&
    # Somebody else has written meanwhile: the next look does it.
    cmp -s "$new.seen" "$hosts" && mv -f "$new" "$hosts"
  local code=$?
  rm -f "$new" "$new.seen"
  [ $code = 0 ] || return 1
  if [ -n "$before" ] && [ "$before" != "$server" ]; then
    echo "the registry at $server instead of $before"
    ss -K dst "$before" dport = "$port" >/dev/null 2>&1
  fi
  return 0
}

# One that does not answer gets a second chance before another one is taken.
choose() {
  local server now=$1
  for server in "\${servers[@]}"; do
    if answers "$server" || { [ "$server" = "$now" ] && sleep 1 && answers "$server"; }; then
      printf '%s\\n' "$server"
      return
    fi
  done
  # None does: better an address than none.
  case " \${servers[*]} " in
    *" $now "*) printf '%s\\n' "$now" ;;
    *) printf '%s\\n' "\${servers[0]}" ;;
  esac
}

look() {
  local now server
  read_config || return 1
  now=$(current)
  server=$(choose "\${now%% *}")
  [ "$server $domain" = "$now" ] || lead_to "\${now%% *}" "$server"
}

case \${1:-} in
  once) look ;;
  *)
    while :; do
      look
      sleep 2
    done
    ;;
esac
`;

/** Runs it from the start of the host, before anything pulls. */
export const WAY_UNIT = `# Made by slipway
[Unit]
Description=The way to the registry of the Kubernetes cluster
Wants=network-online.target
After=network-online.target
Before=kubelet.service

[Service]
ExecStart=${WAY.script}
Restart=always
RestartSec=2

[Install]
WantedBy=multi-user.target
`;
