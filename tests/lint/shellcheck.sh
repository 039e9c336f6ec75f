#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# No shell script has an error or a warning of shellcheck.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

need shellcheck
project_files '*.sh' '*.sbatch' '.ci/run' >files
[ -s files ] || fail "no scripts found"
(cd "$source_dir" && xargs -P "$jobs" -n 4 shellcheck --severity=warning) <files || fail "shellcheck has findings"
