#!/bin/bash
# What base images share stands in the folder of each, so that one folder can be copied, changed and used alone. basefs/kubernetes has it
# first; this says where another folder has something else, and with --write makes it the same.
#   scripts/basefs-shared.sh [--write]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../basefs"

SHARED=(
  .gitignore
  fetch/{context,download}.sh
  rootfs/etc/{modules.conf,registry.service.in,registry.yml,sysctl.conf}
  rootfs/scripts/{clean,init}-registry.sh
  rootfs/scripts/lib/{containerd,kernel,leftovers,messages,record,registry,undo}.sh
)
WRITE=false
case ${1:-} in
  '') ;;
  --write) WRITE=true ;;
  *) printf 'usage: scripts/basefs-shared.sh [--write]\n' >&2 && exit 2 ;;
esac

mode() { if [ -x "$1" ]; then echo 755; else echo 644; fi; }

different=0
for folder in k0s k3s; do
  for file in "${SHARED[@]}"; do
    if cmp -s "kubernetes/$file" "$folder/$file" && [ "$(mode "kubernetes/$file")" = "$(mode "$folder/$file")" ]; then continue; fi
    if [ "$WRITE" = true ]; then
      install -D -m "$(mode "kubernetes/$file")" "kubernetes/$file" "$folder/$file"
      printf 'basefs/%s/%s: written\n' "$folder" "$file"
    else
      printf 'basefs/%s/%s is not as basefs/kubernetes/%s\n' "$folder" "$file" "$file" >&2
      different=1
    fi
  done
done
if [ $different = 1 ]; then
  printf 'change basefs/kubernetes, then run scripts/basefs-shared.sh --write\n' >&2
  exit 1
fi
