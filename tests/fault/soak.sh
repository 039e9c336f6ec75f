#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: tests/fault/soak.sh N [FIRST-SEED]
#
# N runs of ftmpi launch --chaos, each with a seed of its own (FIRST-SEED, 1 by default, and on), and a table of what happened. Ends with 0 only if every
# run came to the bits of the uninterrupted run. Uses the build in build/, or in FTMPI_BINARY_DIR; works in scratch/soak under it. A run that fails is kept.
set -euo pipefail

top=$(cd "$(dirname "$0")/../.." && pwd)
[[ ${1:-} =~ ^[1-9][0-9]*$ && ${2:-1} =~ ^[0-9]+$ ]] || {
	sed -n '/^# usage/,/^set/s/^# \{0,1\}//p' "$0"
	exit 64
}
n_runs_wanted=$1
first_seed=${2:-1}

# shellcheck source=../../jobs/lib.sh
. "$top/jobs/lib.sh"
mpi_environment 4
export FTMPI_SOURCE_DIR=$top FTMPI_BINARY_DIR=${FTMPI_BINARY_DIR:-$top/build}
export FTMPI_PROGRAM=${FTMPI_PROGRAM:-$FTMPI_BINARY_DIR/bin/ftmpi}
FTMPI_MKDATA=${FTMPI_MKDATA:-$(find "$FTMPI_BINARY_DIR/tests" -name mkdata -type f)}
FTMPI_MPIEXEC=${FTMPI_MPIEXEC:-$(command -v mpiexec)}
export FTMPI_MKDATA FTMPI_MPIEXEC
mkdir -p "$FTMPI_BINARY_DIR/scratch/soak"
cd "$FTMPI_BINARY_DIR/scratch/soak"
rm -rf ./*

# shellcheck source=chaos_run.sh
. "$top/tests/fault/chaos_run.sh"

kinds=(kill stop segv double mpirun recovery disk)
make_data data
printf '%6s %8s' seed attempts
printf ' %8s' "${kinds[@]}"
printf ' %8s %9s %7s %7s %6s  %s\n' steps repeated detect restore ratio outcome

declare -A total
n_failed=0
for ((seed = first_seed; seed < first_seed + n_runs_wanted; seed++)); do
	run_chaos "run$seed" "seed=$seed,mtbf=1,stall=10" 4000
	outcome=equal
	if ! (expect_survived "run$seed") 2>failure; then
		outcome="FAILED: $(sed -n 's/^FAIL: //p' failure) (kept in $PWD/run$seed and $last.*)"
		n_failed=$((n_failed + 1))
	fi
	printf '%6d %8s' "$seed" "$(report_of attempts)"
	for kind in "${kinds[@]}"; do
		count=$(report_of "$kind")
		total[$kind]=$((${total[$kind]:-0} + count))
		printf ' %8s' "$count"
	done
	printf ' %8s %9s %7.2f %7.2f %6.3f  %s\n' "$(report_of steps_done)" "$(report_of steps_repeated)" "$(report_of detect_mean_s)" \
		"$(report_of restore_mean_s)" "$(report_of effective_training_time_ratio)" "$outcome"
	[ "$outcome" != equal ] || rm -rf "run$seed" "$last".*
done
printf '%6s %8s' total ""
for kind in "${kinds[@]}"; do printf ' %8d' "${total[$kind]}"; done
printf '\n%d runs, %d with the bits of the uninterrupted run, %d failed\n' "$n_runs_wanted" $((n_runs_wanted - n_failed)) "$n_failed"
[ "$n_failed" = 0 ]
