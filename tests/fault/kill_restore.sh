#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A relaunch is killed while it restores, the chief first, then another rank: nothing in the folder changes, and the third launch ends with the
# same bits.
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

make_reference
make_interrupted base
before=$(checksums base)

die() { # SPEC NP DIR
	train_fault "$@"
	expect_exit 137
	expect_no_stdout "resuming from"
	[ "$(checksums "$3")" = "$before" ] || fail "$3 is not what it was before"
}

i=0
nps=(4 3 2 1)
for fault in restore.begin:kill restore.read:kill restore.before-broadcast:kill restore.received:kill restore.end:kill \
	restore.position:kill restore.slot:kill restore.rng:kill restore.metrics:kill; do
	dir=${fault//[:.]/-}
	cp -r base "$dir"
	die "$fault,rank=0" 4 "$dir"
	# The chief alone reads files.
	[ "$fault" = restore.read:kill ] && other=0 || other=1
	die "$fault,rank=$other" 3 "$dir"
	expect_recovers "${nps[i++ % 4]}" "$dir" 24
done
