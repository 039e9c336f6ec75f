#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The folder is removed under a run: the next save finds that the lock is gone, all ranks end with 74 and one line, and nothing is made in its place.
set -euo pipefail
# shellcheck source=long.sh
. "$(dirname "$0")/long.sh"

make_data data
start 2 run
until_saved run 100

until_true rm -rf run # again where a save is at work in it
wait_ftmpi
expect_exit 74
expect_one_error_line "the lock file of 'run' was removed under this run, so another run may have it: nothing is saved"
[ ! -e run ] || fail "there is a folder again: $(ls -A run)"

# The same with a folder that was moved away: it is still this run's, until another one is in its place.
start 2 moved
until_saved moved 100
mv moved away
until_saved away 300
kill -KILL "$(rank_pid 0)"
wait_ftmpi
expect_exit 137
finish 2 away
compare_ends
