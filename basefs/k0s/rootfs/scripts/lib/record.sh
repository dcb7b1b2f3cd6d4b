# shellcheck shell=bash
# The record of what was put on this host, so that exactly that is taken away again and what was there before comes back.
# A line is written before the thing is done: whatever kills the script, clean.sh knows at least what happened.
#   file SHA256 PATH    a file with this content was put at PATH (one line a content)
#   backup PATH         what was at PATH before is kept in $STATE/backup/PATH
#   dir PATH            a directory was made; removed when it is empty
#   tree PATH           was not there before; removed with everything in it
#   unit NAME WAS…      a systemd unit was started or enabled; what it was before (enabled|active|none)
#   sysctl KEY VALUE    the value before
#   swap                swap was turned off
# RECORD names the file; the registry has its own.

STATE=${SLIPWAY_HOST_STATE:-/var/lib/slipway/host}
RECORD=${RECORD:-$STATE/kubernetes}
CHANGED=()

record() {
  local line
  line=$(IFS=$'\t' && printf '%s' "$*")
  mkdir -p "$STATE"
  if [ -e "$RECORD" ] && grep -qxF -- "$line" "$RECORD"; then return 0; fi
  printf '%s\n' "$line" >>"$RECORD"
}

# recorded KIND: the lines of a kind without the kind, oldest first.
recorded() { if [ -e "$RECORD" ]; then awk -F '\t' -v OFS='\t' -v kind="$1" '$1 == kind && NF > 1 { sub(/^[^\t]*\t/, ""); print }' "$RECORD"; fi; }
is_recorded() { [ -e "$RECORD" ] && grep -qxF -- "$(IFS=$'\t' && printf '%s' "$*")" "$RECORD"; }
# put_here PATH: the contents (sha256) that were put at PATH.
put_here() { recorded file | awk -F '\t' -v path="$1" '$2 == path { print $1 }'; }

sha256_of() { sha256sum <"$1" | cut -c1-64; }

# make_dir PATH: makes a directory and its parents, recording those that were not there.
make_dir() {
  [ -d "$1" ] && return 0
  make_dir "$(dirname "$1")"
  record dir "$1"
  mkdir -m 755 "$1"
}

# claim_tree PATH: what will grow at PATH is ours if nothing is there now.
claim_tree() {
  case $1 in /*/*) ;; *) die "claiming $1: too near the root of the file system" ;; esac
  if [ ! -e "$1" ] || { [ -d "$1" ] && [ -z "$(ls -A "$1")" ]; }; then record tree "$1"; fi
}

# expect_dir PATH: somebody else may make a directory at PATH on our account; it goes when it is empty.
expect_dir() { if [ ! -e "$1" ]; then record dir "$1"; fi; }

# put SOURCE TARGET MODE: a copy of SOURCE at TARGET, whole or not at all. Does nothing when it is there already. A file of
# the host's own that is in the way is kept in $STATE/backup and said. Adds TARGET to CHANGED.
put() {
  local source=$1 target=$2 mode=$3 before ours backup
  if [ -d "$target" ] && [ ! -L "$target" ]; then die "installing $target: a directory is in its place"; fi
  ours=$(put_here "$target")
  if [ -f "$target" ] && [ ! -L "$target" ] && cmp -s "$source" "$target"; then
    if [ -n "$ours" ]; then chmod "$mode" "$target"; fi
    return 0
  fi
  make_dir "$(dirname "$target")"
  if [ -e "$target" ] || [ -L "$target" ]; then
    before=$([ -L "$target" ] || sha256_of "$target")
    if [ -z "$ours" ]; then
      backup=$STATE/backup$target
      mkdir -p "${backup%/*}"
      rm -rf "$backup.part"
      cp -a "$target" "$backup.part"
      mv -fT "$backup.part" "$backup"
      record backup "$target"
      say "$target: the host's own file is replaced; it is kept in $backup and comes back with clean.sh"
    elif ! grep -qxF -- "$before" <<<"$ours"; then
      backup=$STATE/edited$target.$(date -u +%Y%m%dT%H%M%SZ)
      mkdir -p "${backup%/*}"
      cp -a "$target" "$backup"
      warn "$target: was changed since it was installed and is replaced; the changed file is kept in $backup"
    fi
  fi
  record file "$(sha256_of "$source")" "$target"
  rm -f "$target.slipway-new"
  cp "$source" "$target.slipway-new"
  chmod "$mode" "$target.slipway-new"
  mv -f "$target.slipway-new" "$target"
  CHANGED+=("$target")
}

# put_text TARGET MODE TEXT: the same for a text. (Not in a pipeline: CHANGED would be lost.)
put_text() {
  local new
  mkdir -p "$STATE"
  new=$STATE/text.new
  printf '%s\n' "$3" >"$new"
  put "$new" "$1" "$2"
  rm -f "$new"
}

# changed PATH…: was one of these changed by this run?
changed() {
  local path one
  for path; do for one in "${CHANGED[@]+"${CHANGED[@]}"}"; do [ "$one" = "$path" ] && return 0; done; done
  return 1
}

# fill TEMPLATE NAME=VALUE…: the template with @NAME@ replaced, on standard output. A name left over is an error.
fill() {
  local text pair template=$1
  shift
  text=$(cat "$template")
  for pair; do text=${text//"@${pair%%=*}@"/"${pair#*=}"}; done
  if grep -nE '^[^#]*@[A-Z_]+@' <<<"$text" >&2; then die "filling $template: no value for the name above"; fi
  printf '%s\n' "$text"
}

# unit_known NAME: remembers, once, what a unit was before we touch it.
unit_known() {
  [ -n "$(recorded unit | awk -F '\t' -v name="$1" '$1 == name')" ] && return 0
  local was=none
  if systemctl is-enabled -q "$1" 2>/dev/null; then was=enabled; fi
  if systemctl is-active -q "$1" 2>/dev/null; then was="$was,active"; fi
  record unit "$1" "$was"
}
