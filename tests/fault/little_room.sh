#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# /dev/shm has room for the data, and none for what the ranks exchange: messages do that, with the same bits, and one line says so.
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

unshare --mount true 2>/dev/null || skip "no right to mount"
make_data data
wide=(--data "$scratch/data" --batch-size 24 --logical-workers 4 --hidden-units 3000 --max-steps 5)
run_ftmpi 3 "${wide[@]}" --model-dir reference
expect_exit 0
expect_no_stderr "ftmpi: "

# mpirun and all ranks in one name space.
cat >in_little_room <<-'END'
	#!/bin/sh
	exec unshare --mount sh -c 'mount -t tmpfs -o size=14m tmpfs /dev/shm && exec "$@"' sh "$@"
END
chmod +x in_little_room
run_command ./in_little_room "$mpiexec" -n 3 "$program" "${wide[@]}" --model-dir little
expect_exit 0
expect_warning "exchange gradients by messages, which is slower: /dev/shm has "
expect_identical reference little
