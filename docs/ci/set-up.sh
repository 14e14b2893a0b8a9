#!/usr/bin/env bash
# Sets up the backends that need an engine. What is set up already, as from a cache, is only checked.
#   CROSSRUN_ENGINES: their names, separated by commas; may be empty
#   CROSSRUN: the executable
set -euo pipefail
crossrun=${CROSSRUN:-crossrun}
"$crossrun" --version
if [ -n "${CROSSRUN_ENGINES:-}" ]; then
  IFS=, read -r -a engines <<< "$CROSSRUN_ENGINES"
  "$crossrun" setup "${engines[@]}"
fi
