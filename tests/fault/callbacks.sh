#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: callbacks.sh PART PROGRAM: fits with the ready-made callbacks are really killed, and launched again on other numbers of ranks: state, rows,
# best file and events are those of a fit without a death. Keras's defects of BackupAndRestore are not there.
#
# Ten batches an epoch, a backup after every fifth; the third epoch is the best. With a patience of 4 the seventh ends the training, at step 70, and the
# rate is reduced after the fifth and the seventh.
set -euo pipefail
# shellcheck source=../harness.sh
. "$(dirname "$0")/../harness.sh"
fit=$2

launch() { # NP DIR EPOCHS PATIENCE STEPS_PER_EXECUTION
	local np=$1 dir=$2
	shift 2
	mkdir -p "$dir"
	cd "$dir"
	program=$fit run_ftmpi "$np" "$@"
	cd "$scratch"
}

launch_fault() { # SPEC NP DIR ARG…
	local spec=$1 np=$2 dir=$3
	shift 3
	mkdir -p "$dir"
	cd "$dir"
	program=$fit run_fault "$spec" "$np" "$@"
	cd "$scratch"
}

launch_killed() { # SPEC NP DIR ARG…
	launch_fault "$@"
	expect_exit 137
}

# Where the last launch began, and how many steps it made.
expect_steps() { # STEP N
	expect_exit 0
	expect_no_stderr "ftmpi: "
	expect_stdout "begins at step $1: epoch $(($1 / 10)), batch $(($1 % 10))"
	expect_stdout "steps made: $2"
	[ "$1" = 0 ] || expect_stdout "Restored from 'backup/"
}

# The end is that of another fit, in all that callbacks left.
expect_same_end() { # DIR REFERENCE
	local left
	[ "$(printed_digest)" = "$(cat "$2.digest")" ] || fail "the printed state digest is another"
	cmp "$1/epochs.csv" "$2/epochs.csv" || fail "the rows differ"
	scalars "$1" events >"$1.scalars"
	scalars "$2" events | cmp - "$1.scalars" || fail "the events differ"
	expect_identical "$1/best.weights.h5" "$2/best.weights.h5"
	expect_identical "$1/backup/finished.weights.h5" "$2/backup/finished.weights.h5"
	left=$(cd "$1" && find . -type f ! -name .ftmpi.lock ! -name 'events.out.*' | sort | tr '\n' ' ')
	[ "$left" = "./backup/finished.weights.h5 ./best.weights.h5 ./epochs.csv " ] || fail "left in $1: $left"
}

make_reference() { # DIR EPOCHS PATIENCE STEPS_PER_EXECUTION
	launch 4 "$@"
	expect_exit 0
	printed_digest >"$1.digest"
}

expect_epochs() { # DIR EPOCH…
	local dir=$1
	shift
	[ "$(tail -n +2 "$dir/epochs.csv" | cut -d , -f 1 | tr '\n' ' ')" = "$* " ] || fail "rows of $dir: $(cat "$dir/epochs.csv")"
}

# Once at each of these moments: failpoint, ranks of the two launches, steps of an execution, step at which the relaunch begins.
killed() {
	for per_execution in 1 3 10; do make_reference "reference-$per_execution" 9 4 "$per_execution"; done
	expect_epochs reference-1 0 1 2 3 4 5 6
	expect_stdout "steps made: 70"
	expect_stdout "Epoch 7: early stopping"
	expect_stdout "end of the best epoch: 3."
	while read -r spec np again per_execution step; do
		dir=${spec//[:.=,]/-}
		launch_killed "$spec" "$np" "$dir" 9 4 "$per_execution"
		launch "$again" "$dir" 9 4 "$per_execution"
		expect_steps "$step" $((70 - step))
		expect_same_end "$dir" "reference-$per_execution"
	done <<-END
		step.begin:kill,rank=1,hit=48 4 3 1 45
		step.before-apply:kill,rank=0,hit=61 2 4 1 60
		step.end:kill,rank=2,hit=59 3 1 3 55
		step.begin:kill,rank=0,hit=54 1 2 10 50
		epoch.end:kill,rank=0,hit=5 3 2 3 45
		epoch.end:kill,rank=1,hit=7 2 3 1 65
		save.write:kill,rank=0,hit=9 4 2 1 40
		save.before-rename:kill,rank=0,hit=10 2 3 1 45
		save.after-rename:kill,rank=0,hit=10 3 4 1 50
		save.state-file:kill,rank=0,hit=10 4 1 10 50
		save.retention:kill,rank=0,hit=11 3 2 1 55
		save.end:kill,rank=0,hit=6 2 4 1 30
	END
}

# Several deaths in the epoch that is resumed: nothing is lost of what the first launch had; and before the first backup.
again() {
	make_reference reference 9 4 1
	launch_killed step.begin:kill,rank=1,hit=4 2 run 9 4 1
	launch_killed step.begin:kill,rank=0,hit=38 3 run 9 4 1
	expect_stdout "begins at step 0"
	launch_killed step.begin:kill,rank=0,hit=3 1 run 9 4 1
	expect_stdout "begins at step 35"
	launch_killed step.end:kill,rank=2,hit=2 4 run 9 4 1
	expect_stdout "begins at step 35"
	launch_killed epoch.end:kill,rank=1,hit=1 2 run 9 4 1
	expect_stdout "begins at step 35"
	launch 3 run 9 4 1
	expect_steps 35 35
	expect_same_end run reference
}

# Launched again when it is done: nothing is trained and nothing changes. With more epochs it goes on as if it had been longer from the start, though the
# best weights had been put back; with fewer it is done.
finished() {
	make_reference stopped 9 4 1
	checksums stopped | grep -v events >before
	launch 2 stopped 9 4 1
	expect_steps 70 0
	checksums stopped | grep -v events >after
	[ "$(printed_digest)" = "$(cat stopped.digest)" ] || fail "a relaunch that trains nothing ends with another state"
	diff before after || fail "a relaunch that trains nothing changes files"
	launch 3 stopped 12 4 1
	expect_steps 70 0 # stopped it stays
	make_reference long 8 100 1
	make_reference short 5 100 1
	launch 1 short 5 100 1
	expect_steps 50 0
	[ "$(printed_digest)" = "$(cat short.digest)" ] || fail "a relaunch that trains nothing ends with another state"
	launch 3 short 8 100 1
	expect_steps 50 30
	expect_same_end short long

	# Dead between the end and the deletion of the backups: both are there.
	launch_killed step.begin:kill,rank=0,hit=58 2 both 9 4 1
	cp -r both/backup kept
	launch 3 both 9 4 1
	expect_steps 55 15
	cp kept/* both/backup
	launch 4 both 9 4 1
	expect_steps 70 0
	expect_same_end both stopped

	launch_killed step.begin:kill,rank=0,hit=58 2 fewer 8 100 1
	launch 1 fewer 5 100 1
	expect_steps 55 0
	[ "$(find fewer/backup -name '*.h5')" = fewer/backup/finished.weights.h5 ] || fail "left: $(ls fewer/backup)"
}

# A stop because the loss is not finite leaves the backups; the relaunch goes on from the last one and ends as without it.
diverged() {
	make_reference reference 9 4 1
	launch_fault step.loss:nan,hit=48 3 run 9 4 1
	expect_exit 0
	expect_stdout "Invalid loss, terminating training"
	[ "$(find run/backup -name '*.h5')" = run/backup/backup-9.weights.h5 ] || fail "backups: $(ls run/backup)"
	launch 2 run 9 4 1
	expect_steps 45 25
	expect_same_end run reference
}

"$1"
