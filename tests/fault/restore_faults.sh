#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What goes wrong while a checkpoint is read and sent: wrong bytes from the disk make the chief fall back to an older one, an error of the disk
# ends the launch and condemns nothing, and a rank that received other bits than the file has is named.
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

make_reference
make_interrupted base
before=$(checksums base)

expect_untouched() { # DIR
	[ "$(checksums "$1")" = "$before" ] || fail "$1 is not what it was before"
}

cp -r base read
train_fault restore.read:corrupt 4 read
expect_warning "set aside as 'ckpt-24.weights.h5.bad': "
expect_resumed_at read 18
expect_same_end read
[ -e read/ckpt-24.weights.h5.bad ] || fail "the file that was read wrongly is gone"

cp -r base error
train_fault restore.read:error=EIO 4 error
expect_exit 74
expect_one_error_line "cannot read 'error/ckpt-24.weights.h5': Input/output error"
expect_untouched error
expect_recovers 3 error 24

# The first array, one in the middle, the chief's own copy.
cp -r base received
for fault in rank=1,hit=1 rank=3,hit=5 rank=0,hit=2; do
	train_fault "restore.received:corrupt,$fault" 6 received
	expect_exit 65
	rank=${fault#rank=}
	expect_one_error_line "rank ${rank%%,*} received '"
	expect_no_stdout "resuming from"
	expect_untouched received
done
expect_recovers 4 received 24
