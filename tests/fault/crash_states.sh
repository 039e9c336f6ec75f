#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: crash_states.sh SHIM DRIVER EXPLORER [--thorough]: every directory that a power loss may leave, at every moment of two runs, opens with the
# last checkpoint that was announced or a newer one. With the order of the commit broken on purpose it does not, and that is noticed.
#
# The runs: the driver, which does with a store all that can be done with one; and a training that is killed, is relaunched with fewer
# checkpoints kept, and ends. How states are chosen, and what must hold for each, is said in crash_states.c and crash_check.c.
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

shim=$1
driver=$2
explorer=$3
bounds=()
controls=(--controls)
if [ "${4:-}" = --thorough ]; then
	bounds=(--thorough)
	controls=(--each --controls)
fi
export ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0 # the shim is loaded first

# In memory where there is such a place: the explorer's own syncs are for nothing.
explore() { # RUN NUMBER-PATH [OPTION…]
	local run=$1 number_path=$2 work
	shift 2
	work=$(mktemp -d /dev/shm/ftmpi.XXXXXX 2>/dev/null || mktemp -d "$scratch/work.XXXXXX")
	code=0
	"$explorer" "${bounds[@]}" "$@" "$run.log" "$run" run "$work" "$number_path" || code=$?
	rm -rf "$work"
	[ "$code" = 0 ] || fail "crash states of $run"
}

record() { # RUN COMMAND…
	local run=$1
	shift
	mkdir -p "$run"
	LD_PRELOAD=$shim FTMPI_SHIM_ROOT=$scratch/$run FTMPI_SHIM_LOG=$scratch/$run.log "$@"
}

record life "$driver" life/run
explore life number "${controls[@]}"

make_data data
record training train_fault step.begin:kill,rank=0,hit=26 4 training/run
expect_exit 137
newest_after_death training/run 24
record training train 3 training/run --keep-checkpoint-max 2
expect_exit 0
expect_resumed_at training/run "$newest"
[ "$(steps_of training/run)" = "36 40" ] || fail "there are checkpoints $(steps_of training/run)"
explore training optimizer/vars/0
