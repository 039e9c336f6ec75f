#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The quick start works in a copy of the sources that has no build yet, and leaves nothing behind but build/.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

[ -d /usr/share/datasets/fashion-mnist ] || skip "the package dataset-fashion-mnist is not installed"
mkdir copy tmp
(cd "$source_dir" && cp -R cmake include jobs src CMakeLists.txt CMakePresets.json "$OLDPWD/copy")
code=0
TMPDIR=$PWD/tmp bash copy/jobs/quickstart.sh >log 2>&1 || code=$?
[ "$code" -eq 0 ] || fail "ended with $code: $(cat log)"
grep -q '^bit-identical' log || fail "said nothing of bit-identical: $(cat log)"
grep -Eq '^kill -9 [0-9]+' log || fail "killed nothing: $(cat log)"
[ -z "$(ls tmp)" ] || fail "left behind: $(ls tmp)"
