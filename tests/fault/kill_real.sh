#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# kill -9 of a rank from outside at a random moment, five times in a row, on 4, 3, 1, 2 and 4 ranks; then the end, with the same bits.
# FTMPI_TEST_SEED repeats the choices of an earlier run.
set -euo pipefail
# shellcheck source=long.sh
. "$(dirname "$0")/long.sh"

# As mpirun does by itself: the other ranks live on for some time.
unset OMPI_MCA_odls_base_sigkill_timeout

seed=${FTMPI_TEST_SEED:-$RANDOM}
RANDOM=$seed
echo "FTMPI_TEST_SEED=$seed"

make_data data
step=0
for np in 4 3 1 2 4; do
	start "$np" run
	rank=$((RANDOM % np))
	pid=$(rank_pid "$rank")
	# Somewhere after the next checkpoint or the one after it.
	until_saved run $((step + 100 * (1 + RANDOM % 2)))
	sleep "0.0$((RANDOM % 30))"
	kill -KILL "$pid"
	wait_ftmpi
	expect_exit 137
	expect_resumed_at run "$step"
	check_folder run
	echo "rank $rank of $np killed after step $step"
done
finish 3 run

# A rank that has nothing to do is a rank all the same.
start 6 idle
pid=$(rank_pid 5)
until_saved idle 100
kill -KILL "$pid"
wait_ftmpi
expect_exit 137
expect_stdout "6 ranks for 4 logical workers: ranks 4 to 5 stay idle"
finish 2 idle

compare_ends
