#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: check.sh BENCH_SERVE: what the benchmark rests on works; see check.py.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

need python3
python3 -B "$source_dir/tests/bench/check.py" "$FTMPI_MPIEXEC" -n 1 "$1"
