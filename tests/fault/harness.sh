#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The expectations of the fault tests can fail: each is shown what it must refuse.
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

refuses() { # WHY COMMAND…
	local why=$1
	shift
	if ("$@") 2>refusal; then
		fail "'$*' does not fail"
	fi
	grep -qF -- "FAIL: $why" refusal || fail "'$*' says: $(cat refusal)"
}

make_reference
refuses "exit code 0 where 137" expect_exit 137
refuses "not on standard output" expect_stdout "nothing of the kind"
refuses "on standard output" expect_no_stdout "state digest: "
refuses "not on standard error" expect_stderr "nothing of the kind"
refuses "there is not exactly one line" expect_one_error_line ""
refuses "not on standard error" expect_fired step.end kill
refuses "not on standard output" expect_resumed_at reference 6

# Another seed, another state; the same state under another name.
train 4 other --seed 2
expect_exit 0
refuses "the printed state digest is another" expect_same_end other
refuses "exit code 65 where 0" expect_identical reference other
expect_different reference other ftmpi/seed
cp -r reference copy
expect_identical reference copy
refuses "exit code 0 where 65" expect_different reference copy
refuses "exit code 66 where 0" expect_identical reference nowhere
refuses "exit code 65 where 0" expect_identical reference reference/ckpt-36.weights.h5

train 1 copy --max-steps 41
refuses "on standard output" expect_resumed_at copy 0
refuses "the printed state digest is another" expect_same_end copy

# A fault that never fires, and one that fires elsewhere.
refuses "not on standard error: ftmpi: failpoint step.end fired: kill" train_fault step.end:kill,hit=1000 2 unharmed
refuses "not on standard error: ftmpi: failpoint step.end fired: kill (rank 5" train_fault step.end:kill,rank=5 2 unharmed

# A run that does not end in time. The reference run takes longer than no time at all.
limit_s=$run_limit_s
run_limit_s=0
refuses "the run did not end within 0 s" train 1 late
run_limit_s=$limit_s

touch reference/ckpt-41.weights.h5.tmp
refuses "left behind: reference/ckpt-41.weights.h5.tmp" expect_no_leftovers reference
