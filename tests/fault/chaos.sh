#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: chaos.sh short|long. Short: a few faults of all kinds, from a fixed seed. Long: each kind by itself, several times, then all of them for longer. The
# end is always that of the uninterrupted run.
set -euo pipefail
# shellcheck source=chaos_run.sh
. "$(dirname "$0")/chaos_run.sh"

make_data data
if [ "$1" = short ]; then
	run_chaos all "seed=7,mtbf=0.4,stall=20" 3000
	grep '^chaos-report' "$last.out"
	expect_survived all
	[ "$(report_of attempts)" -ge 2 ] || fail "no attempt died"
	exit
fi

for kind in kill stop segv double mpirun recovery disk; do
	stall=20
	n_faults=$(report_of "$kind")
	[ "$kind" != recovery ] || n_faults=$((n_faults + $(report_of kill)))
	[ "$(report_of attempts)" -ge "$n_faults" ] || fail "$n_faults faults in $(report_of attempts) attempts"
	[ "$kind" != stop ] || stall=3 # nothing else finds that rank
	run_chaos "$kind" "seed=2,mtbf=0.05,modes=$kind,stall=$stall" 600 --max-restarts 2
	grep '^chaos-report' "$last.out"
	expect_survived "$kind"
	[ "$(report_of "$kind")" -ge 1 ] || fail "no fault of this kind was injected"
	[ "$kind" = disk ] || [ "$(report_of attempts)" -ge 2 ] || fail "no attempt died"
	[ "$kind" != stop ] || expect_stdout "it hangs, and is killed"
	[ "$kind" != disk ] || expect_stderr "ftmpi: failpoint save.write fired: error (rank 0"
done

run_chaos all "seed=1,mtbf=1,stall=20" 4000
grep '^chaos-report' "$last.out"
expect_survived all
