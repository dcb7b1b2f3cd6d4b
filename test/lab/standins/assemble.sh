#!/bin/bash
# A build context like basefs/k3s (or basefs/k0s) after its fetch.sh, without the internet: the stand-in, Debian's registry, and two container images.
#   assemble.sh RUNTIME VERSION DEST [PROGRAM]
# PROGRAM takes the place of the stand-in: a real k3s of this version. DEST, which must not exist, gets Kubefile, rootfs/, ARCH/ and imageList.
# LAB_IMAGES: the container images, with blanks between. LAB_BUNDLE: an archive of more, as k0s publishes it; with a real program.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=../basefs/parts.sh
. ../basefs/parts.sh

RUNTIME=${1:?usage: assemble.sh RUNTIME VERSION DEST [PROGRAM]}
VERSION=${2:?usage: assemble.sh RUNTIME VERSION DEST [PROGRAM]}
DEST=${3:?usage: assemble.sh RUNTIME VERSION DEST [PROGRAM]}
PROGRAM=${4:-}
BASE=../../../basefs/$RUNTIME
[ ! -e "$DEST" ] || die "$DEST exists already"
[ -f "$BASE/Kubefile" ] || die "there is no $BASE"
need docker-registry
[ -n "$PROGRAM" ] || PROGRAM=$(./build.sh "$RUNTIME" "$VERSION")

PART=$DEST.part
rm -rf "$PART"
mkdir -p "$PART/$ARCH"/{bin,images}
trap 'rm -rf "$PART"' EXIT
cp -R "$BASE/Kubefile" "$BASE/rootfs" "$PART/"
cp "$PROGRAM" "$PART/$ARCH/bin/$RUNTIME"
cp "$(command -v docker-registry)" "$PART/$ARCH/bin/registry"
chmod 755 "$PART/$ARCH"/bin/*
if [ -n "${LAB_BUNDLE:-}" ]; then cp "$LAB_BUNDLE" "$PART/$ARCH/images/"; fi
for image in ${LAB_IMAGES:?the container images}; do echo "$image"; done >"$PART/imageList"
if [ "$RUNTIME" = k3s ]; then install -D -m 644 "$PART/imageList" "$PART/$ARCH/etc/k3s-images"; else kubernetes "$PART/$ARCH/bin" kubectl; fi
printf '{\n  "version": "%s",\n  "arch": "%s",\n  "variant": "",\n  "kubeVersion": "",\n  "NydusFlag": false,\n  "ClusterRuntime": "%s"\n}\n' \
  "$VERSION" "$ARCH" "$RUNTIME" >"$PART/$ARCH/Metadata"
check_libraries "$PART/$ARCH"/bin/registry
mv "$PART" "$DEST"
echo "$DEST"
