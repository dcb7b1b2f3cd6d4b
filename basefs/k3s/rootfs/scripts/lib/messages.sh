# shellcheck shell=bash
# Messages: `init.sh: what: why`. Sourced by every script here.

PROGRAM=${0##*/}
STEP=starting

say() { printf '%s: %s\n' "$PROGRAM" "$*"; }
warn() { printf '%s: warning: %s\n' "$PROGRAM" "$*" >&2; }
# A failure inside $(…) has told why already: exit code 99 says so to the shell around it.
die() {
  printf '%s: %s\n' "$PROGRAM" "$*" >&2
  trap - ERR
  if [ "$BASH_SUBSHELL" -gt 0 ]; then exit 99; fi
  exit 1
}

# step WHAT: what is being done, named if a command fails unexpectedly.
step() { STEP=$1; }
on_error() {
  trap - ERR
  if [ "$1" = 99 ] && [ "$BASH_SUBSHELL" -gt 0 ]; then exit 99; fi
  if [ "$1" = 99 ]; then exit 1; fi
  die "$STEP: \"$2\" failed (exit code $1, $3)"
}
trap 'on_error $? "$BASH_COMMAND" "${BASH_SOURCE[0]##*/} line $LINENO"' ERR

need_root() { [ "$(id -u)" = 0 ] || die "working on this host: needs root; run it with sudo"; }

# need_systemd: services are systemd units; without systemd as PID 1 nothing here can work.
need_systemd() { [ -d /run/systemd/system ] || die "working on this host: systemd is not running here"; }

# check_address PORT DOMAIN: arguments become parts of files and units, so only what can be one gets through.
check_address() {
  if ! [[ $1 =~ ^[1-9][0-9]{0,4}$ ]] || [ "$1" -gt 65535 ]; then die "reading arguments: registry port \"$1\" is not a port (1-65535)"; fi
  [[ $2 =~ ^[A-Za-z0-9.:-]+$ ]] || die "reading arguments: registry domain \"$2\" is not a host name"
}
