#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: table.sh FAILPOINTS ACTION…|long: walks the program's own table of failpoints. Each point does each of these actions in a run in which it is passed:
# it fires, the exit code is exactly what the action means there, and the relaunch, on another number of ranks, ends with the bits of the uninterrupted
# run. A point without a run that passes it, or an action without a meaning here, fails. long: all actions, on each rank, at several passages.
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

failpoints=$1
shift
wanted=" $* "
plain=("${training[@]}")

# Where a sample's loss overflows in every epoch, so that every launch goes back.
make_outlier() {
	make_data data.h5 --dtype f32 --outlier 77=3e38
	outlier=("${plain[@]}" --hidden-units none --dropout 0 --on-divergence rollback)
	outlier[1]=$scratch/data.h5
	training=("${outlier[@]}")
	train 4 outlier
	expect_exit 0
	training=("${plain[@]}")
}

# What a run must do to pass a point. Sets training, reference, base, the folder to begin with, and armed, other failpoints that it takes.
choose_run() { # POINT ACTION
	reference=reference base="" armed=""
	training=("${plain[@]}" --on-save-error stop)
	case $1 in
	restore.*) base=base ;;
	save.wait) armed="save.begin:stall=15,rank=0,hit=1;" ;; # or the writer is done before anybody waits
	rollback.*) training=("${outlier[@]}") reference=outlier ;;
	esac
	case $1:$2 in
	*:stop) training+=(--hang-timeout 2) ;;
	step.params:corrupt) training+=(--check-replicas-steps 1) ;; # or the next step overwrites it
	esac
}

# The passages of a point: that of the short form, then the others.
hits_of() { # POINT
	case $1 in
	step.*) echo 9 1 40 ;;
	save.wait) echo 1 ;;
	save.*) echo 2 1 7 ;;
	epoch.end | evaluate.pass) echo 2 1 4 ;;
	restore.received) echo 1 5 ;;
	rollback.*) echo 1 2 ;;
	restore.*) echo 1 ;;
	*) fail "no passage is known of $1: give it a run" ;;
	esac
}

# The chief alone reads and writes files.
ranks_of() { # POINT
	case $1 in
	save.params) echo 0 1 3 ;;
	save.* | restore.read | restore.before-broadcast) echo 0 ;;
	*) echo 0 1 3 ;;
	esac
}

# How the run ends.
code_of() { # POINT ACTION
	case $1:$2 in
	*:kill | *:stop) echo 137 ;;
	*:exit) echo 9 ;;
	*:stall) echo 0 ;;
	save.retention:error) echo 0 ;; # too much is kept until the next save
	save.*:error | save.write:short | save.write:corrupt | restore.read:error) echo 74 ;;
	save.params:corrupt | save.slots:corrupt | step.params:corrupt) echo 75 ;;
	restore.read:corrupt) echo 0 ;; # an older one is good
	restore.received:corrupt) echo 65 ;;
	step.loss:nan) echo 76 ;;
	restore.*:skip) echo 0 ;; # the negative controls
	*) fail "what $1:$2 means is not known: give it an exit code" ;;
	esac
}

n_cases=0
nps=(1 3 2 4 6)
walk() { # POINT ACTION RANK HIT NP
	local point=$1 action=$2 rank=",rank=$3" value="" dir again=${nps[n_cases++ % 5]}
	case $action in
	exit) value="=9" ;;
	error) value="=EIO" ;;
	stall) value="=1" ;;
	skip) rank="" ;; # ranks that are at different places wait for each other until the watchdog ends it
	esac
	dir=${point//./-}-$action-$3-$4
	choose_run "$point" "$action"
	[ -z "$base" ] || cp -r "$base" "$dir"
	train_fault "$point:$action$value$rank,hit=$4" "$5" "$dir"
	expect_exit "$(code_of "$point" "$action")"
	[ "$action" != stop ] || expect_one_error_line "is stopped by a signal, "
	if [ "$action" = skip ]; then
		expect_different "$reference" "$dir"
		return
	fi
	choose_run "$point" none
	[ "$exit_code" = 0 ] || train "$again" "$dir"
	[ "$(printed_digest)" = "$(digest_of "$reference")" ] || fail "the printed state digest is another"
	expect_exit 0
	expect_identical "$reference" "$dir"
	rm -rf "$dir" "runs/"*.out "runs/"*.err
}

make_reference
make_interrupted base
make_outlier
"$failpoints" >table
[ "$(wc -l <table)" -ge 31 ] || fail "only $(wc -l <table) failpoints"

while read -r -a row <&3; do
	point=${row[0]}
	hits=$(hits_of "$point")
	ranks=$(ranks_of "$point")
	for action in "${row[@]:1}"; do
		code_of "$point" "$action" >code
		if [ "$wanted" != " long " ]; then
			[[ $wanted != *" $action "* ]] || walk "$point" "$action" 0 "${hits%% *}" 2
			continue
		fi
		for rank in $ranks; do
			for hit in $hits; do
				[ "$action:$rank" = skip:1 ] || [ "$action:$rank" = skip:3 ] || walk "$point" "$action" "$rank" "$hit" 4
			done
		done
	done
done 3<table
echo "$n_cases cases"
