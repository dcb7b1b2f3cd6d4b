# shellcheck shell=bash
# Docker distribution as a systemd unit: the program <rootfs>/bin/registry, or the container image <rootfs>/images/registry.tar[.gz].

REGISTRY_UNIT=slipway-registry.service
# containerd's namespace and the container's name where the registry is an image
REGISTRY_NAME=slipway-registry
registry_ctr() { ctr --namespace "$REGISTRY_NAME" "$@"; }

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
  local rootfs=$1 port=$2 storage=$3 domain=$4 certificate key passwords service unit scheme=http
  # distribution reads its settings from the environment too, and lets them win; a file whose content counts is remembered by its sum
  local settings=("REGISTRY_HTTP_ADDR=:$port" "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY=$storage") files=()
  step "configuring the registry"
  [ -d "$storage" ] || die "starting the registry: $storage is not there; the image carries no container images (BASE rootfs cache)"
  certificate=$(given "${RegistryCertFile:-}" "$rootfs/certs/$domain.crt")
  key=$(given "${RegistryKeyFile:-}" "$rootfs/certs/$domain.key")
  passwords=$(given "${RegistryHtpasswdFile:-}" "$rootfs/certs/registry_htpasswd" "$rootfs/etc/registry_htpasswd")
  if [ -n "$certificate" ] && [ -z "$key" ]; then die "configuring the registry: $certificate has no key beside it ($rootfs/certs/$domain.key or RegistryKeyFile)"; fi
  if [ -z "$certificate" ] && [ -n "$key" ]; then die "configuring the registry: $key has no certificate beside it ($rootfs/certs/$domain.crt or RegistryCertFile)"; fi
  if ! systemctl is-active -q "$REGISTRY_UNIT" && answers "$port"; then
    die "starting the registry: something else listens on port $port of this host; stop it, or give another port"
  fi
  if [ -n "$certificate" ]; then
    scheme=https
    settings+=("REGISTRY_HTTP_TLS_CERTIFICATE=$certificate" "REGISTRY_HTTP_TLS_KEY=$key")
    files+=("$certificate" "$key")
  fi
  if [ -n "$passwords" ]; then
    settings+=("REGISTRY_AUTH_HTPASSWD_REALM=$domain" "REGISTRY_AUTH_HTPASSWD_PATH=$passwords")
  fi

  put "$rootfs/etc/registry.yml" /etc/slipway/registry.yml 644
  unit_known "$REGISTRY_UNIT"
  service=$(registry_service "$rootfs" "$storage" "$passwords")
  unit=$(fill "$rootfs/etc/registry.service.in" "SERVICE=$service")
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

# registry_service ROOTFS STORAGE PASSWORDS: what the unit runs, with `settings`, and the sums of `files`, so that it restarts when one
# changes. Passwords are read again by a registry that runs, where it sees the file that takes the place of the former one.
registry_service() {
  local rootfs=$1 storage=$2 passwords=$3 one archive program=$1/bin/registry image command
  for one in "${files[@]+"${files[@]}"}"; do echo "# $one sha256 $(sha256_of "$one")"; done
  if [ -x "$program" ]; then
    echo "# $program sha256 $(sha256_of "$program")"
    for one in "${settings[@]}"; do echo "Environment=\"$one\""; done
    echo "NoNewPrivileges=yes"
    echo "ExecStart=$program serve /etc/slipway/registry.yml"
    return
  fi
  for archive in "$rootfs/images/registry.tar" "$rootfs/images/registry.tar.gz" ''; do if [ -e "$archive" ]; then break; fi; done
  # a file that is mounted into a container stays the one that it was
  if [ -n "$passwords" ]; then files+=("$passwords") && echo "# $passwords sha256 $(sha256_of "$passwords")"; fi
  [ -n "$archive" ] || die "starting the registry: there is neither $program nor $rootfs/images/registry.tar[.gz]; the image was built without them"
  image=$(import_registry "$archive")
  command="/usr/bin/ctr --namespace $REGISTRY_NAME"
  echo "# $archive sha256 $(sha256_of "$archive")"
  # what a crash may have left
  echo "ExecStartPre=-/bin/sh -c '$command tasks kill -s SIGKILL $REGISTRY_NAME; $command tasks rm -f $REGISTRY_NAME; $command containers rm $REGISTRY_NAME'"
  printf 'ExecStart=%s run --rm --net-host --snapshotter %s' "$command" "$(registry_snapshotter)"
  for one in "${settings[@]}"; do printf ' --env "%s"' "$one"; done
  printf ' --mount "type=bind,src=%s,dst=%s,options=rbind:rw"' "$storage" "$storage"
  printf ' --mount "type=bind,src=/etc/slipway/registry.yml,dst=/etc/docker/registry/config.yml,options=rbind:ro"'
  for one in "${files[@]+"${files[@]}"}"; do printf ' --mount "type=bind,src=%s,dst=%s,options=rbind:ro"' "$one" "$one"; done
  printf ' %s %s\n' "$image" "$REGISTRY_NAME"
}

# registry_snapshotter: the one that containerd was configured with.
registry_snapshotter() { sed -n 's/^ *snapshotter = "\(.*\)"$/\1/p' /etc/containerd/config.toml | grep . || echo overlayfs; }

# import_registry ARCHIVE: puts the image into containerd, in place of an older one, and gives its name.
import_registry() {
  local archive=$1 images
  command -v ctr >/dev/null || die "starting the registry: $archive is an image, and there is no containerd on this host; run init.sh first"
  forget_registry_images
  case $archive in
    *.gz) gzip -dc "$archive" ;;
    *) cat "$archive" ;;
  esac | registry_ctr images import --snapshotter "$(registry_snapshotter)" - >/dev/null || die "starting the registry: containerd cannot read $archive"
  images=$(registry_ctr images ls | awk 'NR > 1 { print $1, $3 }')
  # several names of one image are fine
  if [ "$(awk 'NF { print $2 }' <<<"$images" | sort -u | wc -l)" != 1 ]; then
    die "starting the registry: $archive must hold one image with a name; containerd found: ${images:-none}"
  fi
  printf '%s' "${images%% *}"
}
forget_registry_images() {
  local image
  for image in $(registry_ctr images ls -q); do registry_ctr images rm --sync "$image" >/dev/null || warn "$image: cannot be removed from containerd"; done
}

# remove_registry_container: what the unit and the import left in containerd, if it is there and runs.
remove_registry_container() {
  command -v ctr >/dev/null && systemctl is-active -q containerd.service || return 0
  registry_ctr tasks rm -f "$REGISTRY_NAME" >/dev/null 2>&1 || true
  registry_ctr containers rm "$REGISTRY_NAME" >/dev/null 2>&1 || true
  forget_registry_images
  ctr namespaces rm "$REGISTRY_NAME" >/dev/null 2>&1 || true
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
