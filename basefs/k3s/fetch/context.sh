# shellcheck shell=bash
# A build context: for which versions and which machines, where it is put together, and the moment it appears.

machine_arch() {
  case $(uname -m) in
    x86_64 | amd64) echo amd64 ;;
    aarch64 | arm64) echo arm64 ;;
    *) echo unknown ;;
  esac
}

# read_versions: those of ./versions, each as a variable. The environment wins.
read_versions() {
  local name value
  while IFS='=' read -r name value; do
    [[ $name =~ ^[A-Z0-9_]+_VERSION$ ]] || continue
    [ -n "${!name:-}" ] || printf -v "$name" %s "$value"
  done <"$HERE/versions"
}

# open_context: CONTEXT becomes a full path, CACHE is where downloads stay, and NEW where ARCH is put together.
open_context() {
  local program
  case $ARCH in amd64 | arm64) ;; *) die "--arch \"$ARCH\": only amd64 and arm64 can be fetched" ;; esac
  for program in curl tar sha256sum flock diff; do command -v "$program" >/dev/null || die "$program is missing: install it"; done
  mkdir -p "$CONTEXT"
  CONTEXT=$(cd "$CONTEXT" && pwd)
  CACHE=$CONTEXT/.cache
  mkdir -p "$CACHE"
  exec 9>"$CACHE/lock"
  flock -n 9 || die "another fetch.sh is at work in $CONTEXT"
  NEW=$CACHE/$ARCH.new
  rm -rf "$NEW"
  mkdir -p "$NEW"/{bin,images}
}

# take ARCHIVE MEMBER… : programs out of a tar.gz into bin, whatever directory they are in
take() {
  local archive=$1 member found
  shift
  rm -rf "$CACHE/unpack"
  mkdir -p "$CACHE/unpack"
  tar -xzf "$archive" --no-same-owner -C "$CACHE/unpack" || die "unpacking $archive: not a tar.gz archive"
  for member; do
    found=$(find "$CACHE/unpack" -type f -name "$member" | head -n 1)
    [ -n "$found" ] || die "unpacking $archive: it has no $member"
    install -m 755 "$found" "$NEW/bin/$member"
  done
  rm -rf "$CACHE/unpack"
}

# fetch_registry VERSION: the cluster's registry
fetch_registry() {
  local version=${1#v} path
  path=distribution/distribution/releases/download/v$version/registry_${version}_linux_$ARCH.tar.gz
  download "$GITHUB" "$path" "$path.sha256"
  take "$FILE" registry
}

# fetch_nerdctl VERSION: looks into the containerd of the runtime
fetch_nerdctl() {
  local version=${1#v} path
  path=containerd/nerdctl/releases/download/v$version
  download "$GITHUB" "$path/nerdctl-$version-linux-$ARCH.tar.gz" "$path/SHA256SUMS"
  take "$FILE" nerdctl
}

# write_metadata VERSION RUNTIME
write_metadata() {
  cat >"$NEW/Metadata" <<METADATA
{
  "version": "$1",
  "arch": "$ARCH",
  "variant": "",
  "kubeVersion": "",
  "NydusFlag": false,
  "ClusterRuntime": "$2"
}
METADATA
}

# show_context VERSION DESCRIPTION: everything is there, ARCH and $CACHE/imageList.new: they take the places of those before them. What is
# the same stays untouched, so that a build need not read it again.
show_context() {
  local version=$1 description=$2 part other
  for part in Kubefile rootfs; do if [ ! -e "$CONTEXT/$part" ]; then cp -R "$HERE/$part" "$CONTEXT/$part"; fi; done
  if same_tree "$NEW" "$CONTEXT/$ARCH"; then
    rm -rf "$NEW"
  else
    rm -rf "$CACHE/$ARCH.old"
    if [ -e "${CONTEXT:?}/$ARCH" ]; then mv "$CONTEXT/$ARCH" "$CACHE/$ARCH.old"; fi
    mv "$NEW" "$CONTEXT/$ARCH"
    rm -rf "$CACHE/$ARCH.old"
  fi
  if ! cmp -s "$CACHE/imageList.new" "$CONTEXT/imageList"; then mv -f "$CACHE/imageList.new" "$CONTEXT/imageList"; fi
  say "$CONTEXT/$ARCH: $description"
  say "$CONTEXT/imageList: $(wc -l <"$CONTEXT/imageList") images"
  for other in amd64 arm64; do
    if [ -e "$CONTEXT/$other/Metadata" ] && ! grep -qF "\"version\": \"$version\"" "$CONTEXT/$other/Metadata"; then
      warn "$CONTEXT/$other is of another version, and imageList is that of $version: run fetch.sh --arch $other as well"
    fi
  done
}

# same_tree A B: the same names, contents and modes?
same_tree() {
  [ -d "$2" ] && diff -rq "$1" "$2" >/dev/null && [ "$(modes "$1")" = "$(modes "$2")" ]
}

modes() { (cd "$1" && find . -exec stat -c '%a %n' {} + | LC_ALL=C sort -k 2); }
