#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: backup_and_restore.sh PROGRAM NP. The guide's story of Model.fit with BackupAndRestore: interrupted at the end of the fifth of ten epochs; the relaunch
# begins with "Epoch 6/10".
set -euo pipefail
# shellcheck source=../harness.sh
. "$(dirname "$0")/../harness.sh"
example=$1 np=$2

epochs() {
	sed -n 's/^Epoch //p' "$last.out" | tr '\n' ' '
}

make_data data --train 640 --test 100 --shape 28x28
run_command "$mpiexec" -n "$np" "$example" data backup interrupt
[ "$exit_code" != 0 ] || fail "the interruption is not an error"
expect_one_error_line "Interruption"
[ "$(epochs)" = "1/10 2/10 3/10 4/10 5/10 " ] || fail "epochs $(epochs)"
[ "$(find backup -name '*.h5')" = backup/backup-5.weights.h5 ] || fail "backups: $(ls backup)"

run_command "$mpiexec" -n "$np" "$example" data backup
expect_exit 0
expect_stdout "Restored from 'backup/backup-5.weights.h5'."
[ "$(epochs)" = "6/10 7/10 8/10 9/10 10/10 " ] || fail "epochs $(epochs)"
[ "$(find backup -name '*.h5')" = backup/finished.weights.h5 ] || fail "after a normal end: $(ls backup)"
grep -E '^20/20 - ' "$last.out" | sed 's/.*step - //' >resumed

# A finished job does not train again.
run_command "$mpiexec" -n "$np" "$example" data backup
expect_exit 0
[ -z "$(epochs)" ] || fail "trained again: $(epochs)"

# What each epoch printed, and the end, are those of a run without the interruption.
run_command "$mpiexec" -n "$np" "$example" data whole
expect_exit 0
grep -E '^20/20 - ' "$last.out" | sed 's/.*step - //' | tail -n 5 | cmp - resumed || fail "the epochs differ"
expect_identical backup/finished.weights.h5 whole/finished.weights.h5
