#!/usr/bin/env bash
# Measures one run, whose records go to $CROSSRUN_RESULTS/$CROSSRUN_RUN_ID. It ends as `crossrun compare` does.
#   CROSSRUN_BACKENDS, CROSSRUN_WORKLOADS: what is measured, separated by commas
#   CROSSRUN_RUN_ID: names the run, as by date and commit
#   CROSSRUN_RESULTS: the folder of all runs [results]
#   CROSSRUN_OPTIONS: more options of `crossrun compare`, separated by spaces [none]
#   CROSSRUN: the executable [crossrun]
set -euo pipefail
read -r -a options <<< "${CROSSRUN_OPTIONS:-}"
"${CROSSRUN:-crossrun}" compare \
  --backends "$CROSSRUN_BACKENDS" \
  --workloads "$CROSSRUN_WORKLOADS" \
  --run-id "$CROSSRUN_RUN_ID" \
  --output-dir "${CROSSRUN_RESULTS:-results}/$CROSSRUN_RUN_ID" \
  ${options[@]+"${options[@]}"}
