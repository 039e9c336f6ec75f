#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The file system goes read-only under a run, as ext4 does by itself when it meets an error: the older checkpoints stay, the run says so at every save and
# trains on; what cannot be put off ends it with 74. With --on-save-error stop the first save does. Once the disk is mended, a relaunch comes to the same bits.
set -euo pipefail
# The script runs once more in a mount namespace of its own, where it may mount what nobody else sees.
if [ -z "${FTMPI_TEST_NAMESPACE:-}" ]; then
	# shellcheck source=../lib.sh
	. "$(dirname "$0")/../lib.sh"
	need unshare mkfs.ext4 e2fsck findmnt
	unshare -m true 2>/dev/null || skip "this user may not have a mount namespace"
	FTMPI_TEST_NAMESPACE=1 exec unshare -m --propagation private "$0"
fi
# shellcheck source=long.sh
. "$(dirname "$0")/long.sh"

mount_disk() {
	mount -o loop,errors=remount-ro image disk 2>/dev/null
}

# What a bad block does.
fail_disk() {
	echo 1 >"/sys/fs/ext4/$(basename "$(findmnt -no SOURCE --target disk)")/trigger_fs_error"
}

mend_disk() {
	umount disk
	e2fsck -p image >/dev/null || [ $? = 1 ] || fail "the disk cannot be mended"
	mount_disk || fail "the disk that was mended cannot be mounted"
}

has_saved() { # STEP
	[ "$(newest_step disk/run)" -ge "$1" ]
}

has_failed() { # TIMES
	[ "$(grep -c '^ftmpi: warning: no checkpoint at step .*: Read-only file system; .*going on, with another try at the next save$' "$last.err")" -ge "$1" ]
}

make_data data
truncate -s 64M image
mkfs.ext4 -q image
mkdir disk
mount_disk || skip "no loop device can be mounted here"

start 2 disk/run --keep-checkpoint-max 5
until_true has_saved 300
fail_disk
until_true has_failed 3
kill -USR1 "$mpirun_pid"
wait_ftmpi
expect_exit 74
expect_one_error_line "checkpoint 'disk/run/ckpt-"
expect_stderr "Read-only file system; older checkpoints are untouched"
failed=$(sed -n '/^ftmpi: warning: no checkpoint at step /{s///; s/:.*//p; q}' "$last.err")
check_folder disk/run
mend_disk
check_folder disk/run
# All that was saved before the first warning is there; of the save that it is about the name may be, or not.
[ "$step" = "$failed" ] || [ "$step" = $((failed - 100)) ] || fail "the disk has checkpoints up to $step, the first that failed is $failed"

start 3 disk/run --keep-checkpoint-max 5 --on-save-error stop
until_true has_saved $((step + 300))
fail_disk
wait_ftmpi
expect_exit 74
expect_one_error_line "checkpoint 'disk/run/ckpt-"
expect_stderr "; older checkpoints are untouched" # why is told by the call that met it: no write any more, a failed fsync, or other bytes read back
mend_disk
finish 4 disk/run
compare_ends
