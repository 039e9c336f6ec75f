#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: sees_leaks.sh COMMAND…: with a wrapper or a sanitizer in it, the program `leak` is clean, and caught when it loses a block.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

[[ $* != *valgrind* ]] || need valgrind
code=0
"$FTMPI_MPIEXEC" -n 2 "$@" >clean.log 2>&1 || code=$?
[ "$code" -eq 0 ] || fail "a clean program ended with $code: $(cat clean.log)"
code=0
"$FTMPI_MPIEXEC" -n 2 "$@" 4321 >leak.log 2>&1 || code=$?
[ "$code" -ne 0 ] || fail "a leak did not change the exit code: $(cat leak.log)"
grep -Eq '4,?321 byte' leak.log || fail "the lost bytes were not reported: $(cat leak.log)"
grep -q leak_on_purpose leak.log || fail "the place of the leak was not reported: $(cat leak.log)"
