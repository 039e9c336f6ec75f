#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A disk that is full: the older checkpoints stay, and the run says so. By default it goes on and tries again at the next save; it ends with 0 when
# the last save succeeds and with 74 when that fails. With --on-save-error stop it ends with 74 at once.
set -euo pipefail
# The script runs once more in a mount namespace of its own, where it may mount what nobody else sees.
if [ -z "${FTMPI_TEST_NAMESPACE:-}" ]; then
	# shellcheck source=../lib.sh
	. "$(dirname "$0")/../lib.sh"
	need unshare
	unshare -m true 2>/dev/null || skip "this user may not have a mount namespace"
	FTMPI_TEST_NAMESPACE=1 exec unshare -m --propagation private "$0"
fi
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

make_reference
make_interrupted base
mkdir disk
mount -t tmpfs -o size=4m tmpfs disk

# The interrupted run on a disk without room; a file of someone else has all of it.
fill_disk() {
	rm -rf disk/*
	cp -r base disk/run
	before=$(checksums disk/run)
	dd if=/dev/zero of=disk/filler bs=4096 status=none 2>/dev/null || true
}

expect_untouched() {
	[ "$(steps_of disk/run)" = "6 12 18 24" ] || fail "there are checkpoints $(steps_of disk/run)"
	[ "$(checksums disk/run)" = "$before" ] || fail "the folder is not what it was before"
	expect_no_leftovers disk/run
}

# It stays full: saves are due at 30, 36 and 40. The last one cannot be made up for.
fill_disk
train 2 disk/run
expect_exit 74
[ "$(grep -c "^ftmpi: warning: .*no room in 'disk/run': " "$last.err")" = 2 ] || fail "not one warning for each save that failed"
expect_one_error_line "no room in 'disk/run': "
expect_untouched
rm disk/filler
expect_recovers 3 disk/run 24

# By the clock: a save that failed is tried again after as long, not at every step.
fill_disk
began=$EPOCHREALTIME
run_ftmpi 2 "${problem[@]}" --model-dir disk/run --max-steps 3000 --save-checkpoints-secs 0.05
expect_exit 74
n_tries=$(grep -c "^ftmpi: warning: .*no room in 'disk/run': " "$last.err")
most=$(awk -v began="$began" -v ended="$EPOCHREALTIME" 'BEGIN { print int((ended - began) / 0.05) + 1 }')
[ "$n_tries" -ge 1 ] && [ "$n_tries" -le "$most" ] || fail "$n_tries tries where $most had the time"
expect_untouched

# Full at one save only: the run ends as if nothing had been.
cp -r base once
train_fault save.write:error=ENOSPC,hit=1 4 once
expect_warning "checkpoint 'once/ckpt-30.weights.h5' was not saved: "
expect_same_end once
[ "$(steps_of once)" = "12 18 24 36 40" ] || fail "there are checkpoints $(steps_of once)"
expect_no_leftovers once
expect_listed once

# At the last one.
cp -r base last
train_fault save.write:error=ENOSPC,hit=3 1 last
expect_exit 74
expect_one_error_line "checkpoint 'last/ckpt-40.weights.h5' was not saved: "
expect_recovers 2 last 36

# To stop is what some want.
fill_disk
train 3 disk/run --on-save-error stop
expect_exit 74
expect_one_error_line "no room in 'disk/run': "
expect_stderr "older checkpoints are untouched"
expect_warning "TensorBoard's log: cannot write " # the only one
expect_untouched
rm disk/filler
expect_recovers 4 disk/run 24
