#!/bin/bash
# Undoes init.sh.
set -euo pipefail
rm -f /usr/bin/site-report /etc/site.conf
