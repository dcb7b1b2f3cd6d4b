#!/bin/bash
# A stand-in for k3s or k0s, which cannot be had here: one program that runs the real parts of Kubernetes (test/lab/kubernetes.sh) with
# Debian's etcd and containerd, and behaves to the outside as the real one does. See README.md.
#   build.sh NAME VERSION        NAME is a directory here (k3s, k0s); VERSION is what it says of itself: v1.30.4+k3s1
# Prints where the program is: in $SLIPWAY_LAB/standins, by what it is made of. Half a minute when it is not there yet.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

NAME=${1:?usage: build.sh NAME VERSION}
VERSION=${2:?usage: build.sh NAME VERSION}
LAB=${SLIPWAY_LAB:-/var/tmp/slipway-lab}
DIR=$LAB/standins
BUILT=v1.20.2
PARTS=("$LAB"/kubernetes/bin/{kube-apiserver,kube-controller-manager,kube-scheduler,kube-proxy,kubelet,kubectl})

fail() {
  echo "standins: $*" >&2
  exit 1
}

[[ $NAME =~ ^[a-z0-9]+$ && -f $NAME/main.go ]] || fail "there is no stand-in for $NAME"
[[ $VERSION =~ ^v[0-9]+\.[0-9]+\.[0-9]+(\+[a-z0-9.]+)?$ ]] || fail "$VERSION is not a version like v1.30.4+k3s1"
for program in containerd ctr containerd-shim-runc-v2 runc etcd etcdctl; do
  PARTS+=("$(command -v $program)") || fail "$program is missing: run test/lab/packages.sh"
done
PARTS+=(/usr/lib/cni/{bridge,host-local,loopback,portmap} "$PWD/../basefs/crictl")
../kubernetes.sh >&2
command -v go >/dev/null || fail 'go is missing: apt-get install golang-go'

# Programs of Kubernetes and of Debian are known by size and time: a digest of all their bytes would cost as much as the building.
digest=$({
  echo "$NAME $VERSION"
  find . -type f \( -name '*.go' -o -name go.mod -o -name build.sh \) -print0 | sort -z | xargs -0 sha256sum
  stat -L -c '%n %s %Y' "${PARTS[@]}"
} | sha256sum | cut -c1-20)
TARGET=$DIR/$NAME-$digest
if [ ! -x "$TARGET" ]; then
  mkdir -p "$DIR"
  exec 9>"$DIR/.lock"
  flock 9
fi
if [ ! -x "$TARGET" ]; then
  part=$(mktemp -d "$DIR/.part.XXXXXX")
  trap 'rm -rf "$part"' EXIT
  export CGO_ENABLED=0 GOFLAGS=-mod=mod GOPROXY=off GO111MODULE=on GOCACHE=$DIR/gocache GOTOOLCHAIN=local
  go build -ldflags "-s -w -X main.version=$VERSION" -o "$part/$NAME" "./$NAME"
  go run ./pack -from "$BUILT" -to "$VERSION" -out "$part/packed" "$part/$NAME" "${PARTS[@]}" >&2
  mv "$part/packed" "$TARGET"
  # what nobody has asked for in a week
  find "$DIR" -maxdepth 1 -name "$NAME-*" -mtime +7 -delete
fi
touch -c "$TARGET"
echo "$TARGET"
