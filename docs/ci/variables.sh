#!/usr/bin/env bash
# Prints the variables of the other scripts, from the inputs of the action: a line NAME=VALUE each, as GitHub reads them.
set -euo pipefail
for name in BACKENDS WORKLOADS ENGINES OPTIONS RUN_ID RESULTS SINCE CROSSRUN DATA_DIR; do
  variable=INPUT_$name
  value=${!variable:-}
  # A line of its own would be a variable of its own.
  case $value in *$'\n'*) echo "the input of $name has more than one line" >&2; exit 1 ;; esac
  case $name in
    CROSSRUN) echo "CROSSRUN=${value:-crossrun}" ;;
    DATA_DIR) echo "CROSSRUN_DATA_DIR=${value:-${RUNNER_TEMP:?}/crossrun-data}" ;;
    *) echo "CROSSRUN_$name=$value" ;;
  esac
done
