# shellcheck shell=bash
# Docker distribution as a systemd unit.

REGISTRY_UNIT=slipway-registry.service

# given ENVIRONMENT-VALUE PATH…: the value, or the first path that is there; nothing when none is.
given() {
  local path value=$1
  shift
  if [ -n "$value" ]; then
    [ -r "$value" ] || die "configuring the registry: $value cannot be read"
    realpath "$value"
    return
  fi
  for path; do if [ -r "$path" ]; then realpath "$path" && return; fi; done
}

start_registry() {
  local rootfs=$1 port=$2 storage=$3 domain=$4 certificate key passwords environment unit scheme=http
  step "configuring the registry"
  [ -x "$rootfs/bin/registry" ] || die "starting the registry: $rootfs/bin/registry is missing; the image was built without it"
  [ -d "$storage" ] || die "starting the registry: $storage is not there; the image carries no container images (BASE rootfs cache)"
  certificate=$(given "${RegistryCertFile:-}" "$rootfs/certs/$domain.crt")
  key=$(given "${RegistryKeyFile:-}" "$rootfs/certs/$domain.key")
  passwords=$(given "${RegistryHtpasswdFile:-}" "$rootfs/certs/registry_htpasswd" "$rootfs/etc/registry_htpasswd")
  if [ -n "$certificate" ] && [ -z "$key" ]; then die "configuring the registry: $certificate has no key beside it ($rootfs/certs/$domain.key or RegistryKeyFile)"; fi
  if [ -z "$certificate" ] && [ -n "$key" ]; then die "configuring the registry: $key has no certificate beside it ($rootfs/certs/$domain.crt or RegistryCertFile)"; fi

  if ! systemctl is-active -q "$REGISTRY_UNIT" && answers "$port"; then
    die "starting the registry: something else listens on port $port of this host; stop it, or give another port"
  fi

  # distribution reads its settings from the environment too, and lets them win
  environment="Environment=\"REGISTRY_HTTP_ADDR=:$port\" \"REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY=$storage\""
  if [ -n "$certificate" ]; then
    scheme=https
    environment+=$'\n'"Environment=\"REGISTRY_HTTP_TLS_CERTIFICATE=$certificate\" \"REGISTRY_HTTP_TLS_KEY=$key\""
    # a changed file changes the unit, and so restarts the registry
    environment+=$'\n'"# certificate sha256 $(sha256_of "$certificate")"
  fi
  if [ -n "$passwords" ]; then
    environment+=$'\n'"Environment=\"REGISTRY_AUTH_HTPASSWD_REALM=$domain\" \"REGISTRY_AUTH_HTPASSWD_PATH=$passwords\""
    environment+=$'\n'"# passwords sha256 $(sha256_of "$passwords")"
  fi
  environment+=$'\n'"# program sha256 $(sha256_of "$rootfs/bin/registry")"
  unit=$(fill "$rootfs/etc/registry.service.in" "ENVIRONMENT=$environment" "PROGRAM=$rootfs/bin/registry")
  put "$rootfs/etc/registry.yml" /etc/slipway/registry.yml 644
  unit_known "$REGISTRY_UNIT"
  put_text "/etc/systemd/system/$REGISTRY_UNIT" 644 "$unit"

  step "starting the registry"
  if changed "/etc/systemd/system/$REGISTRY_UNIT"; then systemctl daemon-reload; fi
  systemctl is-enabled -q "$REGISTRY_UNIT" || systemctl enable -q "$REGISTRY_UNIT"
  if [ ${#CHANGED[@]} -gt 0 ]; then systemctl restart "$REGISTRY_UNIT"
  elif ! systemctl is-active -q "$REGISTRY_UNIT"; then systemctl start "$REGISTRY_UNIT"
  else say "nothing to do: the registry serves $storage at port $port" && return 0; fi
  wait_for_registry "$port"
  say "the registry serves $storage at port $port ($scheme${passwords:+, with passwords})"
}

answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

wait_for_registry() {
  local port=$1
  for _ in $(seq 150); do
    if answers "$port" && systemctl is-active -q "$REGISTRY_UNIT"; then return 0; fi
    sleep 0.2
  done
  systemctl stop "$REGISTRY_UNIT" || true
  die "starting the registry: it does not answer at port $port: $(journalctl -q --no-pager -o cat -n 3 -u "$REGISTRY_UNIT" | tr '\n' ' ')"
}
