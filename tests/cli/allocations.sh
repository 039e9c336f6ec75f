#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: allocations.sh COUNTER: a step allocates nothing. A thousand steps more ask for memory as often as a hundred do, but for what MPI
# does now and then.
set -euo pipefail
# shellcheck source=cli.sh
. "$(dirname "$0")/cli.sh"

make_data data

count() { # NP STEPS: sets n, of the rank that asks most often
	run_command env LD_PRELOAD="$counter" "$mpiexec" -n "$1" "$program" --data data --hidden-units 16 --max-steps "$2" \
		--model-dir "run-$1-$2" --progress log --log-step-count-steps 100000 --save-checkpoints-steps 100000 --save-summary-steps 100000
	expect_exit 0
	n=$(sed -n 's/^allocations: //p' "$last.err" | sort -n | tail -n 1)
	[ "${n:-0}" -gt 0 ] || fail "nothing was counted"
}

counter=$1
for np in 1 2; do
	count "$np" 100
	few=$n
	count "$np" 1100
	echo "np $np: $few in 100 steps, $n in 1100"
	[ $((n - few)) -lt 300 ] || fail "1000 steps more allocate $((n - few)) times more"
done
