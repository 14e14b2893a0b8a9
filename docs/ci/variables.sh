#!/usr/bin/env bash
# Prints the variables of the other scripts, from the inputs of the action: a line NAME=VALUE each, as GitHub reads them.
set -euo pipefail
for name in BACKENDS WORKLOADS ENGINES OPTIONS RUN_ID RESULTS SINCE; do
  variable=INPUT_$name
  value=${!variable:-}
  # A line of its own would be a variable of its own.
  case $value in *$'\n'*) echo "the input of $name has more than one line" >&2; exit 1 ;; esac
  echo "CROSSRUN_$name=$value"
done
echo "CROSSRUN=${INPUT_CROSSRUN:-crossrun}"
echo "CROSSRUN_DATA_DIR=${RUNNER_TEMP:?}/crossrun-data"
