#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# --checkpoint-interval auto: failures are counted over relaunches, those before the first checkpoint too, orderly stops are not; each count makes the
# interval shorter; and whenever it saves, the end is that of an uninterrupted run with a fixed interval.
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

make_reference
auto=("${problem[@]}" --no-async-checkpoint --checkpoint-interval auto --keep-checkpoint-max 0 --progress lines)

auto_fault() { # SPEC NP DIR [OPTION…]
	local spec=$1 np=$2 dir=$3
	shift 3
	run_fault "$spec" "$np" "${auto[@]}" --model-dir "$dir" "$@"
	expect_exit 137
}

# What the newest checkpoint knows.
expect_failures() { # DIR N [RELAUNCHES]
	local text
	text=$("$program" checkpoints show "$1") || fail "checkpoints show $1"
	grep -qx "failures: $2" <<<"$text" || fail "$1 does not know of $2 $(grep '^failures' <<<"$text")"
	[ $# -lt 3 ] || grep -qx "relaunches: $3" <<<"$text" || fail "$1 does not know of $3 relaunches"
}

# The first interval that the last run chose, in parts of what the cost of its save would ask for with a failure every 24 h.
expect_part() { # AWK-CONDITION on `part`
	sed -nE '/^Checkpoint every /{s/.*every ([0-9.]+) ([a-z]+).*: a save costs ([0-9.]+) ([a-z]+), .*/\1 \2 \3 \4/p; q}' "$last.out" >chosen
	[ -s chosen ] || fail "no line says how often it saves"
	awk '{ unit["ms"] = 1e-3; unit["s"] = 1; unit["min"] = 60; unit["h"] = 3600; unit["days"] = 86400
		part = $1 * unit[$2] / sqrt(2 * $3 * unit[$4] * 86400); exit !('"$1"') }' chosen || fail "$1 is not so: $(cat chosen)"
}

# Nothing happens: the first save after ten steps, then none for long, and the end.
run_ftmpi 4 "${auto[@]}" --model-dir calm --max-steps 40
expect_exit 0
expect_no_stderr "ftmpi: "
[ "$(steps_of calm)" = "10 40" ] || fail "calm has checkpoints $(steps_of calm)"
expect_stdout ", no failure in "
expect_stdout ", so one in 24 h is assumed; Young/Daly "
expect_stdout ", the budget of 1% asks for at least "
[ "$(grep -c '^Checkpoint every ' "$last.out")" = 1 ] || fail "the interval was not said once"
expect_part "part > 0.8"
expect_failures calm 0 0
expect_same_end calm

# Killed twice before there is a checkpoint, once after it, on as many ranks as there happen to be.
auto_fault step.begin:kill,rank=1,hit=4 4 run --max-steps 40
auto_fault step.begin:kill,rank=0,hit=7 2 run --max-steps 40
[ -z "$(steps_of run)" ] || fail "run has checkpoints $(steps_of run)"
auto_fault step.begin:kill,rank=2,hit=12 3 run --max-steps 40 --checkpoint-overhead 100%
expect_stdout ", a failure every "
expect_stdout " (2 in "
expect_failures run 2 0
expect_part "part < 0.1"

# Not a failure: the end of a launch that was to make so many steps.
run_ftmpi 2 "${auto[@]}" --model-dir run --steps 12
expect_exit 0
expect_stdout " (3 in "
expect_failures run 3 1
run_ftmpi 1 "${auto[@]}" --model-dir run --max-steps 40
expect_failures run 3 2
expect_same_end run

# The budget has the last word, and says so.
auto_fault step.begin:kill,rank=0,hit=4 1 budget --max-steps 40
run_ftmpi 4 "${auto[@]}" --model-dir budget --max-steps 40 --checkpoint-overhead 1e-6
expect_stdout ", but the budget of 0.0001% allows one every "
[ "$(steps_of budget)" = "10 40" ] || fail "budget has checkpoints $(steps_of budget)"
expect_same_end budget

# Diverging is no failure of the machine: the relaunch does it again. Saving nothing at the end is one, though the process ends by itself.
auto_fault step.begin:kill,rank=1,hit=12 2 ends --max-steps 40
run_fault save.write:error=ENOSPC 2 "${auto[@]}" --model-dir ends --max-steps 40 --on-save-error stop
expect_exit 74
run_ftmpi 3 "${auto[@]}" --model-dir ends --max-steps 40
expect_failures ends 2 1
expect_same_end ends

# Killed again and again in the save that tells of the deaths before it, when its checkpoint has its name and the count has not begun anew.
for deaths in 0 1 2 3; do
	auto_fault save.after-rename:kill,rank=0 $((1 + deaths)) named --max-steps 1000
	expect_failures named "$deaths"
done
run_ftmpi 2 "${auto[@]}" --model-dir named --steps 12
expect_failures named 4

# Saves that take long to write, and failures that ask for many: the training does not wait for one to begin the next. The last one it does wait for.
for np in 1 2; do auto_fault step.begin:kill,rank=0,hit=4 "$np" slow; done
with_armed "$(slow_saves 1);save.wait:kill,rank=0,hit=2" start_ftmpi 2 "${auto[@]}" --async-checkpoint --checkpoint-overhead 100% --model-dir slow --max-steps 1000000000
has_three() { [ "$(steps_of slow | wc -w)" -ge 3 ]; }
until_true has_three
kill -USR1 "$mpirun_pid"
wait_ftmpi
expect_exit 75
expect_stdout ", but it is that long until one is durable"

# From outside: SIGKILL on a rank, then on the chief; between them a stop by a signal, which saves, ends with 75, and is no failure.
saved_beyond() { # STEP
	local steps
	steps=$(steps_of outside)
	[ "${steps##* }" -gt "$1" ] 2>/dev/null
}
newest=0
go_on() { # NP: until there is one more checkpoint
	start_ftmpi "$1" "${auto[@]}" --keep-checkpoint-max 3 --checkpoint-overhead 100% --model-dir outside --max-steps 1000000000
	until_true saved_beyond "$newest"
}
take_newest() {
	newest=$(steps_of outside)
	newest=${newest##* }
}
go_on 3
kill -KILL "$(rank_pid 1)"
wait_ftmpi
expect_exit 137
take_newest
go_on 4
kill -USR1 "$mpirun_pid"
wait_ftmpi
expect_exit 75
take_newest
expect_failures outside 1 1
go_on 2
kill -KILL "$(rank_pid 0)"
wait_ftmpi
expect_exit 137
take_newest
run_ftmpi 1 "${auto[@]}" --model-dir outside --max-steps $((newest + 20))
expect_exit 0
expect_stdout " (2 in "
expect_failures outside 2 3
run_ftmpi 4 "${problem[@]}" --model-dir whole --max-steps $((newest + 20)) --save-checkpoints-steps 1000
expect_exit 0
expect_identical outside whole
