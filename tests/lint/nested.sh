#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: nested.sh PRESET COMPILER [CTEST-OPTION…]: the project builds without a warning in another preset, and the tests that the
# options choose pass there. Without options: build only.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

preset=$1
compiler=$2
shift 2
need "$compiler"
build_preset "$preset" -DCMAKE_C_COMPILER="$compiler" -DFTMPI_TESTS=ON -DFTMPI_REQUIRE_ALL="${FTMPI_REQUIRE_ALL:-0}"
[ $# -eq 0 ] || ctest --test-dir "$preset_dir" --output-on-failure --no-tests=error -j "$jobs" "$@"
