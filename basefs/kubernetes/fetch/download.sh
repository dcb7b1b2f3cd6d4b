# shellcheck shell=bash
# Downloads that are whole, verified and resumable.

say() { printf 'fetch.sh: %s\n' "$*"; }
warn() { printf 'fetch.sh: warning: %s\n' "$*" >&2; }
die() {
  printf 'fetch.sh: %s\n' "$*" >&2
  exit 1
}

# download BASE PATH CHECKSUM-PATH: the file at BASE/PATH, verified; FILE is where it is. An empty CHECKSUM-PATH means that nobody
# publishes one: then a pin, or what came over TLS.
download() {
  local base=$1 path=$2 checksum_path=$3 wanted resumed=false
  FILE=$CACHE/downloads/$path
  wanted=$(pinned "$path")
  if [ -z "$wanted" ] && [ -n "$checksum_path" ]; then wanted=$(published "$base" "$checksum_path" "${path##*/}") || exit 1; fi
  if [ -e "$FILE" ]; then
    if [ -z "$wanted" ] || [ "$(sha256_of "$FILE")" = "$wanted" ]; then pin "$path" && return 0; fi
    rm -f "$FILE"
  fi
  mkdir -p "${FILE%/*}"
  if [ -s "$FILE.part" ]; then resumed=true; fi
  say "downloading $base/$path"
  transfer "$base/$path" "$FILE.part" "$wanted"
  if [ -n "$wanted" ] && [ "$(sha256_of "$FILE.part")" != "$wanted" ] && [ "$resumed" = true ]; then
    say "$path: what was left of an earlier download does not fit; once more from the beginning"
    rm -f "$FILE.part"
    transfer "$base/$path" "$FILE.part" "$wanted"
  fi
  if [ -n "$wanted" ]; then
    local got
    got=$(sha256_of "$FILE.part")
    if [ "$got" != "$wanted" ]; then
      rm -f "$FILE.part"
      die "$base/$path: wrong checksum: sha256 is $got, must be $wanted; the file is thrown away, nothing is changed"
    fi
  else
    warn "$path: no checksum is published for it and none is pinned; sha256 $(sha256_of "$FILE.part")"
  fi
  mv -f "$FILE.part" "$FILE"
  pin "$path"
}

# transfer URL FILE WANTED: goes on behind what FILE has. A server that cannot do that sends all of it again.
transfer() {
  local url=$1 file=$2 wanted=$3 code=0
  local options=(--fail --location --silent --show-error --connect-timeout 30 --speed-limit 1 --speed-time 60 --retry 5 --retry-delay 1 --proto '=http,https')
  # what was asked for over TLS is not fetched without it after a redirect
  case $url in https:*) options+=(--proto-redir '=https') ;; esac
  if [ -s "$file" ]; then
    # whole already, and only the last step was missed
    if [ -n "$wanted" ] && [ "$(sha256_of "$file")" = "$wanted" ]; then return 0; fi
    curl "${options[@]}" --continue-at - --output "$file" "$url" 2>/dev/null && return 0
    rm -f "$file"
  fi
  # a broken transfer goes on where it stopped, at most five times
  for _ in 1 2 3 4 5; do
    code=0
    curl "${options[@]}" --continue-at - --output "$file" "$url" || code=$?
    case $code in
      0) return 0 ;;
      18 | 28 | 56) sleep 1 ;;
      33) rm -f "$file" ;;
      *) break ;;
    esac
  done
  die "$url: cannot be downloaded (curl exit code $code); run it again to go on, set https_proxy or a mirror if this machine has no direct way"
}

sha256_of() { sha256sum <"$1" | cut -c1-64; }

# pinned PATH: its checksum in ./checksums, if any.
pinned() { awk -v path="$1" '$2 == path { print $1 }' "$HERE/checksums" | tail -n 1; }

pin() {
  if [ "$PIN" = true ] && [ -z "$(pinned "$1")" ]; then printf '%s  %s\n' "$(sha256_of "$CACHE/downloads/$1")" "$1" >>"$HERE/checksums"; fi
}

# published BASE CHECKSUM-PATH NAME: what a checksum file says of NAME. Either a single sum, or lines `SUM  NAME`.
published() {
  local text sum options=(--fail --location --silent --show-error --connect-timeout 30 --max-time 120 --retry 5 --retry-delay 1 --max-filesize 1048576 --proto '=http,https')
  case $1 in https:*) options+=(--proto-redir '=https') ;; esac
  text=$(curl "${options[@]}" "$1/$2") ||
    die "$1/$2: cannot be downloaded, so $3 cannot be verified; run it again to go on, set https_proxy or a mirror if this machine has no direct way"
  sum=$(awk -v name="$3" '
    NF == 1 && NR == 1 { only = $1 }
    { file = $2; sub(/^\*/, "", file); sub(/.*\//, "", file); if (file == name) sum = $1 }
    END { print (sum != "" ? sum : NR == 1 ? only : "") }' <<<"$text")
  sum=${sum,,}
  [[ $sum =~ ^[0-9a-f]{64}$ ]] || die "$1/$2: has no sha256 of $3"
  printf '%s' "$sum"
}
