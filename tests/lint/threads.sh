#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ThreadSanitizer finds nothing in what the writer of checkpoints and its owner share. The test has no MPI in it, whose own threads it would report.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

need clang
preset_dir=$build_dir/tsan
(cd "$source_dir" && cmake --preset tsan -B "$preset_dir" -DFTMPI_TESTS=ON -DFTMPI_REQUIRE_ALL="${FTMPI_REQUIRE_ALL:-0}") || fail "cmake --preset tsan"
cmake --build "$preset_dir" -j "$jobs" --target test_save || fail "build of test_save"
nm "$preset_dir/tests/unit/test_save" | grep __tsan_write8 >/dev/null || fail "built without ThreadSanitizer"
TSAN_OPTIONS="exitcode=66 ignore_noninstrumented_modules=1" "$preset_dir/tests/unit/test_save" || fail "test_save under ThreadSanitizer"
