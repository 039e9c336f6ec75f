#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ftmpi launch with mpirun, from the first start to its end: a death in each attempt, a checkpoint from which nothing goes on, too few slots, and what is not
# to be tried again.
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

# What an attempt leaves must not depend on a save in flight.
launch() { # NP DIR [OPTION…] -- [TRAINING-OPTION…]
	local np=$1 dir=$2
	shift 2
	run launch -np "$np" --mpirun "$mpiexec" --backoff-secs 0.05 "$@" "${training[@]}" --no-async-checkpoint --model-dir "$dir"
}

launch_fault() { # SPEC NP DIR …
	local spec=$1
	shift
	with_fault "$spec" launch "$@"
}

without() { # VARIABLE COMMAND…
	local name=$1 value=${!1}
	shift
	unset "$name"
	"$@"
	export "$name=$value"
}

make_reference

# A death in each attempt, always at the same distance from its start: it comes forward, and ends with the same bits.
launch_fault step.begin:kill,rank=1,hit=10 4 forward --
expect_stdout "restarts: 6 after a new checkpoint, 0 without"
expect_same_end forward
expect_listed forward
launch_fault step.begin:kill,rank=0,hit=10 3 fewer --max-restarts 1 --
expect_same_end fewer

# A checkpoint from which nothing goes on: back to the one before, which does not help here, so it gives up and puts it back.
make_interrupted poisoned
launch_fault step.begin:kill,rank=0,hit=1 2 poisoned --max-restarts 2 --
expect_exit 137
expect_stderr "it died 2 times at checkpoint 24: that is set aside as .suspect"
expect_stdout "resuming from poisoned/ckpt-24.weights.h5: step 24, "
expect_stdout "resuming from poisoned/ckpt-18.weights.h5: step 18, "
expect_stderr "going back did not help: checkpoint 24 has its name again"
expect_one_error_line "gave up after 3 attempts"
expect_recovers 3 poisoned 24

# Not enough slots: Open MPI's own words, then fewer ranks.
without OMPI_MCA_rmaps_base_oversubscribe launch 4 slots --min-np 2 --mpirun-args "--host localhost:2" --
expect_stderr "There are not enough slots available in the system"
expect_stderr "not enough slots for 4 ranks: trying 3"
expect_stderr "not enough slots for 3 ranks: trying 2"
expect_same_end slots
without OMPI_MCA_rmaps_base_oversubscribe launch 4 none --max-restarts 0 --mpirun-args "--host localhost:2" --
expect_exit 1
expect_one_error_line "gave up after 1 attempt (--max-restarts 0): the last one found not enough slots"

# mpirun refuses: its words, once.
launch 2 refused --mpirun-args --no-such-option --
expect_exit 1
expect_stderr "no-such-option"
expect_one_error_line "no rank ran"
[ ! -e refused ] || fail "the folder was made"
if [ "$(id -u)" = 0 ]; then
	without OMPI_ALLOW_RUN_AS_ROOT launch 2 refused --
	expect_exit 1
	expect_stderr "has detected an attempt to run as root"
	expect_one_error_line "no rank ran"
fi

# What the training says itself is passed on, without another attempt.
launch 2 reference -- --learning-rate 0.5
expect_exit 64
expect_one_error_line "--learning-rate"
expect_no_stderr "starting again"
