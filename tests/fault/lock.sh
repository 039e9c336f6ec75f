#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A second run in a folder that is in use is refused, and the first one is none the worse for it.
set -euo pipefail
# shellcheck source=long.sh
. "$(dirname "$0")/long.sh"

make_data data
start 2 run
first=$last
until_saved run 100
chief=$(rank_pid 0)
train 2 run "${long[@]}" --lock-wait-secs 5
expect_exit 74
expect_warning "waiting up to 5 s for the lock of 'run', held by process $chief on host "
expect_one_error_line "'run' is in use by process $chief on host "
run checkpoints prune run --keep 1
expect_exit 74
expect_one_error_line "'run' is in use by process $chief on host "
# To look is allowed.
run checkpoints verify run
expect_exit 0
kill -KILL "$chief"
last=$first
wait_ftmpi
expect_exit 137
expect_no_stderr "ftmpi: "
finish 4 run
compare_ends
