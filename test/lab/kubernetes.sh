#!/bin/bash
# Real Kubernetes v1.20.2 for the end-to-end tests, built from Debian's own source package (bookworm): kubeadm, kubelet,
# kubectl, kube-apiserver, kube-controller-manager, kube-scheduler and kube-proxy, static, in
# $SLIPWAY_LAB/kubernetes/bin. About seven minutes on two cores, once; needs root and apt's Debian mirror.
set -euo pipefail

LAB=${SLIPWAY_LAB:-/var/tmp/slipway-lab}
DIR=$LAB/kubernetes
VERSION=1.20.2
SOURCE=$DIR/kubernetes-$VERSION
PROGRAMS=(kubeadm kubelet kubectl kube-apiserver kube-controller-manager kube-scheduler kube-proxy)

fail() {
  echo "kubernetes: $*" >&2
  exit 1
}

complete() {
  local program
  for program in "${PROGRAMS[@]}"; do [ -x "$DIR/bin/$program" ] || return 1; done
}

# Go, and the source with one part replaced: reflect2 as it is vendored panics with Go 1.18 and later
get_source() {
  local list=/etc/apt/sources.list.d/slipway-deb-src.sources
  export DEBIAN_FRONTEND=noninteractive
  # shellcheck disable=SC2016 # apt's own variable
  if ! apt-get indextargets --format '$(CREATED_BY)' 2>/dev/null | grep -qx Sources; then
    sed 's/^Types:.*/Types: deb-src/' /etc/apt/sources.list.d/debian.sources >"$list" || fail 'apt has no Debian sources'
  fi
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends golang-go golang-github-modern-go-reflect2-dev dpkg-dev >/dev/null
  rm -rf "$DIR/source.new"
  mkdir "$DIR/source.new"
  cd "$DIR/source.new"
  apt-get source -qq --download-only kubernetes
  tar xzf kubernetes_*.orig.tar.gz
  rm "kubernetes-$VERSION"/vendor/github.com/modern-go/reflect2/*.{go,s}
  cp /usr/share/gocode/src/github.com/modern-go/reflect2/*.{go,s} "kubernetes-$VERSION/vendor/github.com/modern-go/reflect2/"
  rm -rf "$SOURCE"
  mv "kubernetes-$VERSION" "$SOURCE"
  cd "$DIR"
  rm -rf "$DIR/source.new"
}

# The API descriptions are generated, and not part of the source package
generate_openapi() {
  local generated=pkg/generated/openapi packages
  [ ! -e "$generated/zz_generated.openapi.go" ] || return 0
  go build -o "$DIR/openapi-gen" k8s.io/kubernetes/vendor/k8s.io/kube-openapi/cmd/openapi-gen
  packages=$(grep -rl '+k8s:openapi-gen=' --include='*.go' pkg plugin cmd vendor/k8s.io/*/ |
    grep -v 'code-generator\|sample-apiserver\|zz_generated' | xargs -n1 dirname | LC_ALL=C sort -u |
    sed 's#^#k8s.io/kubernetes/#' | paste -sd,)
  "$DIR/openapi-gen" --logtostderr -i "$packages" -p "k8s.io/kubernetes/$generated" -O zz_generated.openapi.new \
    -h vendor/k8s.io/code-generator/hack/boilerplate.go.txt -r "$DIR/openapi.report"
  mv "$generated/zz_generated.openapi.new.go" "$generated/zz_generated.openapi.go"
}

build() {
  local prefix program flags="-s -w"
  for prefix in k8s.io k8s.io/kubernetes/vendor/k8s.io; do
    flags="$flags -X $prefix/component-base/version.gitVersion=v$VERSION"
    flags="$flags -X $prefix/component-base/version.gitMajor=1 -X $prefix/component-base/version.gitMinor=20"
    flags="$flags -X $prefix/client-go/pkg/version.gitVersion=v$VERSION"
  done
  for program in "${PROGRAMS[@]}"; do
    [ ! -x "$DIR/bin/$program" ] || continue
    go build -ldflags "$flags" -o "$DIR/bin/.$program" "k8s.io/kubernetes/cmd/$program"
    mv "$DIR/bin/.$program" "$DIR/bin/$program"
    echo "built $program"
  done
}

complete && exit 0
[ "$(id -u)" = 0 ] || fail 'building needs root (apt-get)'
command -v apt-get >/dev/null || fail 'the source comes from Debian: apt-get is not here'
mkdir -p "$DIR/bin"
exec 9>"$LAB/.kubernetes.lock"
flock 9
complete && exit 0

[ -d "$SOURCE" ] || get_source
command -v go >/dev/null || apt-get install -y -qq --no-install-recommends golang-go >/dev/null
export GOPATH=$DIR/gopath GO111MODULE=off CGO_ENABLED=0 GOFLAGS='' GOCACHE=$DIR/gocache
mkdir -p "$GOPATH/src/k8s.io"
ln -sfn "$SOURCE" "$GOPATH/src/k8s.io/kubernetes"
cd "$GOPATH/src/k8s.io/kubernetes"
generate_openapi
build
rm -rf "$GOCACHE"
"$DIR/bin/kubelet" --version
