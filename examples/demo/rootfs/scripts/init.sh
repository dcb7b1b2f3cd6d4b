#!/bin/bash
# Called on every host as `cd <rootfs>/scripts && bash init.sh <storage-dir> <registry-domain> <registry-port>`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
install -m 755 bin/site-report /usr/bin/site-report
install -m 644 etc/site.conf /etc/site.conf
echo "init.sh: this host belongs to the site $(sed -n 's/^name=//p' etc/site.conf)"
