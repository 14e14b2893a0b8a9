#!/usr/bin/env bash
# Writes the reports of the run beside its records: junit.xml for the CI system, github.json for github-action-benchmark, and
# summary.md. It adds the summary to the page of the job where there is one.
#   CROSSRUN_RUN_ID, CROSSRUN_RESULTS, CROSSRUN: as for measure.sh
set -euo pipefail
crossrun=${CROSSRUN:-crossrun}
run="${CROSSRUN_RESULTS:-results}/$CROSSRUN_RUN_ID"
"$crossrun" report "$run" --format junit --output "$run/junit.xml"
"$crossrun" report "$run" --format github --output "$run/github.json" --quiet > /dev/null
"$crossrun" report "$run" --format md --output "$run/summary.md" --quiet > /dev/null
if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then
  cat "$run/summary.md" >> "$GITHUB_STEP_SUMMARY"
fi
