# shellcheck shell=bash
# Undoes what $RECORD says, newest kinds first. Whatever cannot be undone is said and the rest goes on; the record stays until
# everything is undone, so that it can be run again.

UNDONE=true
keep() {
  warn "$*"
  UNDONE=false
}

stop_units() {
  local name was
  step "stopping services"
  while IFS=$'\t' read -r name was; do
    systemctl stop "$name" 2>/dev/null || true
    if [[ $was != enabled* ]]; then systemctl disable -q "$name" 2>/dev/null || true; fi
  done < <(recorded unit | tac)
}

# restore_units: after the host's own files are back.
restore_units() {
  local name was
  systemctl daemon-reload
  while IFS=$'\t' read -r name was; do
    systemctl reset-failed "$name" 2>/dev/null || true
    case $was in
      *active*) systemctl start "$name" || warn "$name: ran before, and does not start" ;;
    esac
  done < <(recorded unit)
}

# remove_trees: what has grown at places where nothing was.
remove_trees() {
  local tree
  step "removing data"
  while read -r tree; do
    case $tree in /*/*) ;; *) continue ;; esac
    unmount_below "$tree"
    rm -rf --one-file-system "$tree" || keep "$tree: cannot be removed completely"
  done < <(recorded tree | tac)
}

# remove_files: the files that are still as they were put; the host's own come back. What somebody changed since stays.
remove_files() {
  local path backup
  step "removing files"
  while read -r path; do
    rm -f "$path.slipway-new"
    backup=$STATE/backup$path
    if [ -e "$path" ] || [ -L "$path" ]; then
      if [ -L "$path" ] || ! grep -qxF -- "$(sha256_of "$path")" <<<"$(put_here "$path")"; then
        if is_recorded backup "$path" && same_file "$backup" "$path"; then rm -rf "$backup"; continue; fi
        # stays, under its own name, unless the host's own file must come back there
        if is_recorded backup "$path" && [ -e "$backup" ]; then mv -f "$path" "$path.slipway-kept" && warn "$path: was changed since it was installed; kept as $path.slipway-kept"
        else warn "$path: was changed since it was installed; it stays" && continue; fi
      else
        rm -f "$path"
      fi
    fi
    if is_recorded backup "$path" && { [ -e "$backup" ] || [ -L "$backup" ]; }; then
      if cp -a "$backup" "$path.slipway-new" && mv -fT "$path.slipway-new" "$path"; then
        rm -f "$backup"
        say "$path: the host's own file is back"
      else
        keep "$path: the host's own file cannot be put back; it is in $backup"
      fi
    fi
  done < <(recorded file | cut -f2- | awk '!seen[$0]++')
}
same_file() {
  if [ -L "$1" ] || [ -L "$2" ]; then [ "$(readlink "$1")" = "$(readlink "$2")" ]; else cmp -s "$1" "$2"; fi
}

remove_dirs() {
  local dir
  while read -r dir; do if [ -d "$dir" ]; then rmdir --ignore-fail-on-non-empty "$dir"; fi; done < <(recorded dir | sort -r)
}

restore_kernel() {
  local key value fstab
  step "restoring kernel settings"
  while IFS=$'\t' read -r key value; do
    (echo "$value" >"/proc/sys/${key//.//}") 2>/dev/null || warn "$key: cannot be set back to $value"
  done < <(recorded sysctl)
  while read -r fstab; do
    if [ -f "$fstab" ] && grep -q "^$SWAP_MARK" "$fstab"; then
      sed "s|^$SWAP_MARK||" "$fstab" >"$fstab.slipway-new"
      chmod --reference="$fstab" "$fstab.slipway-new"
      mv -f "$fstab.slipway-new" "$fstab"
    fi
    swapon -a 2>/dev/null || warn "swap: cannot be turned on again"
  done < <(recorded swap)
}

# forget: the record goes when nothing is left to undo.
forget() {
  if [ "$UNDONE" = false ]; then die "some things are left (see above); mend them and run $PROGRAM again"; fi
  rm -f "$RECORD" "$STATE"/text.new
  if [ -d "$STATE" ]; then
    find "$STATE" -depth -type d -empty -delete
    if [ -n "$(find "$STATE/backup" "$STATE/edited" -type f 2>/dev/null)" ]; then say "kept copies of changed files are in $STATE"; fi
  fi
  rmdir --ignore-fail-on-non-empty /etc/slipway /var/lib/slipway 2>/dev/null || true
}
