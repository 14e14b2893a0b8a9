#!/usr/bin/env bash
# Looks at all runs so far. It ends with 7 if the newest change of a backend at a point is one to slower.
#   CROSSRUN_SINCE: leave out runs that began before this day [none]
#   CROSSRUN_RESULTS, CROSSRUN: as for measure.sh
set -euo pipefail
"${CROSSRUN:-crossrun}" history "${CROSSRUN_RESULTS:-results}" ${CROSSRUN_SINCE:+--since "$CROSSRUN_SINCE"}
