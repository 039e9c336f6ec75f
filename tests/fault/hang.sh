#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: hang.sh PART: a rank that stops is noticed in bounded time and named; the job ends by SIGKILL, which leads to a relaunch, and the relaunch
# ends with the same bits. What takes long for a good reason is no hang.
set -euo pipefail
# shellcheck source=long.sh
. "$(dirname "$0")/long.sh"

# The job ended because of a hang; the one line says who and what.
expect_hang() { # TEXT…
	expect_exit 137
	expect_one_error_line "; ending the job: relaunch to go on from the last checkpoint"
	local text
	for text in "hang: " "$@"; do expect_one_error_line "$text"; done
}

# Really stopped from outside, the chief and others, at any moment; one without work too, and two at once.
outside() {
	make_data data
	step=0
	for ranks in 4:1 3:0 2:1 4:0,2; do
		np=${ranks%:*}
		start "$np" run --hang-timeout 3
		until_saved run $((step + 100))
		named=() pids=()
		for rank in $(tr , ' ' <<<"${ranks#*:}"); do
			pid=$(rank_pid "$rank")
			pids+=("$pid")
			named+=("rank $rank (host $(uname -n), process $pid) is stopped by a signal, ")
		done
		kill -STOP "${pids[@]}" # at once: who is stopped later may not be to blame yet when the first one is
		wait_ftmpi
		expect_hang "${named[@]}" " without a sign of life for "
		check_folder run
	done
	finish 3 run

	start 6 idle --hang-timeout 3
	until_saved idle 100
	pid=$(rank_pid 5)
	kill -STOP "$pid"
	wait_ftmpi
	expect_hang "rank 5 (host $(uname -n), process $pid) is stopped by a signal, waiting in idleness"
	finish 2 idle
	compare_ends
}

# Stopped, or blocked for ever, at a certain place: failpoint, what the line says, step of the relaunch.
places() {
	make_reference
	make_interrupted base
	nps=(4 3 1 2)
	i=0
	while IFS='|' read -r fault line resumed; do
		fault=${fault##*[[:space:]]}
		dir=${fault//[:.=,]/-}
		[[ $fault != restore.* ]] || cp -r base "$dir"
		train_fault "$fault" 4 "$dir" --hang-timeout 2 --no-async-checkpoint
		rank=0
		[[ ! $fault =~ ,rank=([0-9]+) ]] || rank=${BASH_REMATCH[1]}
		expect_hang "rank $rank (host " "$line" "; waiting: "
		expect_recovers "${nps[i++ % 4]}" "$dir" "$resumed"
	done <<-END
		step.begin:stop,rank=3|is stopped by a signal, in the first step (step 0) without|0
		step.begin:stop,rank=1,hit=9|is stopped by a signal, in a step (step 8) without|6
		step.before-reduce:stop,hit=20,rank=0|is stopped by a signal, in a step (step 19) without|18
		step.before-apply:stall,rank=2,hit=13|is sleeping, in a step (step 12) without|12
		evaluate.pass:stop,rank=1,hit=2|is stopped by a signal, in an evaluation (step 17) without|12
		epoch.end:stall,rank=3,hit=2|is sleeping, in the program's own code (step 17) without|12
		save.write:stop,hit=2,rank=0|is stopped by a signal, in a save (step 11) without|6
		save.fsync:stall,hit=2,rank=0|is sleeping, in a save (step 11) without|6
		restore.before-broadcast:stop,rank=0|is stopped by a signal, in a restore without|24
	END
	# A writer that is stuck holds nobody up before the next save is due.
	train_fault save.fsync:stall,hit=2,rank=0 4 writer --hang-timeout 2 --async-checkpoint
	expect_hang "rank 0 (host " "is sleeping, in a save (step 17) without" "; waiting: "
	expect_recovers 2 writer 6
}

# Longer than the limit, in phases that may take long: no alarm, here and in a relaunch. Without a watchdog, anywhere.
patience() {
	make_reference
	make_interrupted base
	slow="step.begin:stall=5,rank=1;save.fsync:stall=5,hit=2,rank=0;save.write:stall=5,rank=0;evaluate.pass:stall=5,rank=2"
	train_fault "$slow;save.verify:stall=5,hit=3,rank=0" 4 slow --hang-timeout 2
	expect_no_stderr "hang: "
	expect_same_end slow
	cp -r base read
	train_fault "restore.read:stall=5,rank=0;restore.before-broadcast:stall=5,rank=0" 3 read --hang-timeout 2
	expect_no_stderr "hang: "
	expect_resumed_at read 24
	expect_same_end read
	train_fault "step.begin:stall=5,rank=1,hit=9" 4 off --hang-timeout 0
	expect_no_stderr "hang: "
	expect_same_end off
}

# The default limit: 30 s, less one look; more where a step was slow.
default() {
	make_reference
	train_fault "step.begin:stop,rank=1,hit=9" 4 run --no-async-checkpoint
	expect_hang "rank 1 (host " "is stopped by a signal, in a step (step 8) without a sign of life for "
	quiet_s=$(sed -n 's/.* without a sign of life for \([0-9.]*\) s; .*/\1/p' "$last.err")
	[ "${quiet_s%.*}" -ge 29 ] || fail "it ended after $quiet_s s"
	expect_recovers 2 run 6
}

# A callback of a program never comes back: on the chief, on another rank, on the only one.
callback() { # PROGRAM
	run_command "$mpiexec" -n 3 "$1" reference 24
	expect_exit 0
	expect_stdout "begins at step 0"
	reference=$(printed_digest)
	for where in "4 2 13" "3 0 7" "1 0 20"; do
		read -r np rank step <<<"$where"
		run_command "$mpiexec" -n "$np" "$1" "run$np" 24 "$rank" "$step"
		expect_hang "rank $rank (host " "is running, in a callback 'loop' (step $((step - 1))) without"
		run_command "$mpiexec" -n $((5 - np)) "$1" "run$np" 24
		expect_exit 0
		expect_stdout "begins at step $(((step - 1) / 5 * 5))"
		[ "$(printed_digest)" = "$reference" ] || fail "another state than without the hang"
		expect_identical reference "run$np"
	done
}

# The rank that notices cannot say it: its standard error is a pipe that nobody reads.
silent() {
	make_reference
	mkfifo full
	exec 9<>full
	while dd if=/dev/zero of=full oflag=nonblock bs=4096 count=1 2>/dev/null; do :; done
	cat >silent <<-'END'
		#!/bin/sh
		[ "$OMPI_COMM_WORLD_RANK" = 1 ] || exec 2>full
		exec "$FTMPI_PROGRAM" "$@"
	END
	chmod +x silent
	program=$scratch/silent train_fault "step.begin:stop,rank=1,hit=9" 2 run --hang-timeout 2 --no-async-checkpoint
	expect_exit 137
	expect_no_stderr "hang: "
	exec 9>&-
	expect_recovers 3 run 6
}

# Over two nodes, played by two name spaces of host names: a stopped rank is named on its own node; when it is the only one there, the other node says that
# it is none of its ranks.
nodes() {
	make_reference
	while IFS='|' read -r nodes text; do
		# shellcheck disable=SC2086
		on_nodes $nodes
		dir=${nodes//[: ]/-}
		train_fault "step.begin:stop,rank=3,hit=9" 4 "$dir" --hang-timeout 2 --no-async-checkpoint
		expect_hang "$text"
		on_one_node
		expect_recovers 2 "$dir" 6
	done <<-END
		one:2 two:2|rank 3 (host two, process
		one:3 two:1|all ranks of host one wait in a step (step 8) for
	END
}

"$@"
