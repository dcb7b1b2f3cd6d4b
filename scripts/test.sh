#!/usr/bin/env bash
# The tests. As root on Debian this installs by itself what they need; elsewhere it says which tests it leaves out and why.
#   npm test                        what every change must pass
#   npm run test:all                the long ones too (SLIPWAY_TESTS=all): each takes minutes
#   npm test -- --project unit      arguments go to vitest
set -euo pipefail
cd "$(dirname "$0")/.."

node scripts/compile.mjs

if [ $# -gt 0 ]; then exec node_modules/.bin/vitest run "$@"; fi

projects=(--project unit)
left=()
left_out() { left+=("LEFT OUT: $1 tests: $2"); }
if [ "${SLIPWAY_TESTS:-}" != all ]; then
  left_out "$(find test -name '*.long.test.ts' | wc -l) files of long" 'npm run test:all runs them'
fi
# Said before and after: what was not tested must not drown in what was.
say_left_out() { [ ${#left[@]} -eq 0 ] || printf '%s\n' "${left[@]}"; }

if [ "$(id -u)" != 0 ]; then
  reason='they mount file systems and start real registries and hosts, which needs root'
elif ! command -v apt-get >/dev/null; then
  reason="they install their peers (skopeo, buildah, docker-registry, containerd …) with apt-get, which is not here"
else
  reason=''
fi

if [ -n "$reason" ]; then
  left_out 'integration' "$reason"
  left_out 'end-to-end' "$reason"
else
  test/lab/packages.sh
  projects+=(--project integration)
  if [ -n "${SLIPWAY_SKIP_E2E:-}" ]; then
    left_out 'end-to-end' 'SLIPWAY_SKIP_E2E is set'
  else
    test/lab/lab.sh setup
    test/lab/kubernetes.sh
    projects+=(--project e2e)
  fi
fi

say_left_out
trap say_left_out EXIT
node_modules/.bin/vitest run "${projects[@]}"
