#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A node whose shared memory is too small for the data: one line on every number of ranks, where MPI itself would hang.
set -euo pipefail
# shellcheck source=cli.sh
. "$(dirname "$0")/cli.sh"

unshare --mount mount -t tmpfs tmpfs /dev/shm 2>/dev/null || skip "no right to mount a file system"
make_data data --train 30000 --test 10 --shape 28x28 # 24 MB

in_small_memory() { # NP
	# shellcheck disable=SC2016
	run_command unshare --mount sh -c 'mount -t tmpfs -o size=16m tmpfs /dev/shm && exec "$@"' sh \
		"$mpiexec" -n "$1" "$program" --data data --model-dir run "${small[@]}"
}
keep_tree
for np in 2 3; do
	in_small_memory $np
	expect_refusal 74 "/dev/shm has"
done
