# shellcheck shell=bash
# What assemble.sh and images.sh share.
# shellcheck disable=SC2034 # used there

ARCH=$(dpkg --print-architecture)
KUBERNETES_BUILT=v1.20.2
# Another patch version is the same programs, which only say another one of themselves.
KUBERNETES_VERSION=${LAB_KUBERNETES_VERSION:-$KUBERNETES_BUILT}
KUBERNETES=${SLIPWAY_LAB:-/var/tmp/slipway-lab}/kubernetes/bin
# Libraries that the lab's hosts have (libc and libseccomp2 of the same Debian release).
HOST_LIBRARIES='linux-vdso|ld-linux|libc\.so|libseccomp\.so|libpthread|libdl|libresolv'

die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# need PROGRAM…: Debian packages: containerd runc docker-registry containernetworking-plugins etcd-server etcd-client busybox-static iptables
need() {
  local program
  for program; do
    command -v "$program" >/dev/null ||
      die "$program is missing: apt install containerd runc docker-registry containernetworking-plugins etcd-server etcd-client busybox-static iptables"
  done
}

need_kubernetes() { [ -x "$KUBERNETES/kubeadm" ] || die "$KUBERNETES/kubeadm is missing: run test/lab/kubernetes.sh"; }

# kubernetes DEST PROGRAM…: programs of Kubernetes, of the version that is asked for.
kubernetes() {
  local dest=$1 program
  shift
  [ ${#KUBERNETES_VERSION} = ${#KUBERNETES_BUILT} ] || die "LAB_KUBERNETES_VERSION must be as long as $KUBERNETES_BUILT"
  for program; do
    LC_ALL=C sed "s/${KUBERNETES_BUILT//./\\.}/$KUBERNETES_VERSION/g" "$KUBERNETES/$program" >"$dest/$program"
    chmod 755 "$dest/$program"
  done
}

# image_list: what kubeadm wants of its version (`kubeadm config images list`), and the application of the tests.
image_list() {
  local component
  for component in kube-apiserver kube-controller-manager kube-scheduler kube-proxy; do echo "k8s.gcr.io/$component:$KUBERNETES_VERSION"; done
  echo k8s.gcr.io/pause:3.2
  echo k8s.gcr.io/etcd:3.4.13-0
  echo k8s.gcr.io/coredns:1.7.0
  echo docker.io/library/web:1.0
}

# check_libraries FILE…: programs of the rootfs run on hosts that have next to nothing.
check_libraries() {
  local file extra
  for file; do
    extra=$(ldd "$file" 2>/dev/null | awk 'NF > 1 { print $1 }' | grep -vE "($HOST_LIBRARIES)" || true)
    [ -z "$extra" ] || die "$file needs libraries that the lab's hosts do not have: $extra"
  done
}

# copy_with_libraries DIRECTORY PROGRAM…: programs at their own paths below DIRECTORY, and every library they load.
copy_with_libraries() {
  local root=$1 file library
  shift
  for file; do install -D -m 755 "$(realpath "$file")" "$root$file"; done
  while read -r library; do install -D -m 755 "$(realpath "$library")" "$root$library"; done < <(ldd "$@" 2>/dev/null | grep -oE '/[^ ]+[^ :]' | grep '\.so' | sort -u)
}
