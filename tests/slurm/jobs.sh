# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the tests under Slurm share: a job of jobs/train.sbatch on a cluster of one's own, waiting for what happens to it, and the comparison with
# a run that nothing happened to.
#
# As in the tests that kill from outside (../fault/long.sh) a job trains without end until the test has done to it what it came for. How
# long comes from a file that each launch reads: let_end makes it so that whatever is launched from then on trains 300 steps more and ends.

# shellcheck source=../fault/long.sh
. "$(dirname "${BASH_SOURCE[0]}")/../fault/long.sh"
# shellcheck source=cluster.sh
. "$(dirname "${BASH_SOURCE[0]}")/cluster.sh"

need_cluster
enter_namespaces "$@"

on_exit_of_cluster() {
	local code=$?
	trap - EXIT
	set +e
	if [ "$code" != 0 ] && [ "$code" != 77 ]; then
		tail -n 60 "$scratch"/*.log >&2
		cluster_log >&2
	fi
	stop_cluster
	(exit "$code")
	on_exit
}
trap on_exit_of_cluster EXIT
# The first process of a name space is spared signals that it does not ask for.
trap 'exit 130' INT
trap 'exit 143' TERM

# As on a cluster: mpirun lets ranks that are to end live on for some time.
unset OMPI_MCA_odls_base_sigkill_timeout
export FTMPI_PROGRAM=$program

# What the jobs train: $problem of ../fault/common.sh, with a checkpoint every 100 steps.
training=("${problem[@]}" "${long[@]}" --config "$scratch/length")

train_without_end() {
	echo "max-steps = 100000000" >length
}

let_end() {
	echo "steps = 300" >length.new
	mv length.new length
}

submit() { # DIR [SBATCH-OPTION…] [-- OPTION…]: sets job
	submit_script train.sbatch "$@"
}

submit_script() { # SCRIPT DIR [SBATCH-OPTION…] [-- OPTION…]: sets job
	local script=$source_dir/jobs/$1 dir=$2 sbatch_options=()
	shift 2
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		sbatch_options+=("$1")
		shift
	done
	job=$(sbatch --parsable --output="$scratch/$dir.log" "${sbatch_options[@]}" "$script" "$dir" "${training[@]}" "${@:2}") ||
		fail "sbatch"
	echo "job $job: $dir"
}

# Jobs that are submitted with "${with_stand_ins[@]}" run these lines as COMMAND.
# shellcheck disable=SC2034 # for the scripts that source this
with_stand_ins=(--export="ALL,PATH=$scratch/bin:$PATH")
stand_in() { # COMMAND <LINES
	mkdir -p bin
	{ echo "#!/bin/sh" && cat; } >"bin/$1"
	chmod +x "bin/$1"
}

job_field() { # JOB FORMAT
	squeue --noheader --states=all --jobs="$1" --format="$2"
}

is_in_state() { # JOB STATE
	[ "$(job_field "$1" %T)" = "$2" ]
}

# Slurm does some things only every 30 s.
until_state() { # JOB STATE
	local deadline=$((SECONDS + 300))
	until is_in_state "$1" "$2"; do
		[ "$SECONDS" -lt "$deadline" ] || fail "job $1 is $(job_field "$1" %T), not $2"
		sleep 0.1
	done
}

# The states of the jobs of a chain that have run, in order, and one for all those that have not.
chain_is() { # JOB STATES
	local states
	states=$(job_field "$1" "%K %T" | sort --version-sort | cut -d ' ' -f 2)
	[ "$(tr '\n' ' ' <<<"$states")" = "$2 " ]
}

restarts_of() { # JOB
	scontrol show job "$1" | sed -n 's/.* Restarts=\([0-9]*\) .*/\1/p'
}

expect_restarts() { # JOB N
	[ "$(restarts_of "$1")" = "$2" ] || fail "job $1 was restarted by Slurm $(restarts_of "$1") times, not $2"
}

# The job's exit code, as the script gave it.
expect_job_exit() { # JOB CODE
	local said
	said=$(scontrol show job "$1") || fail "scontrol show job $1"
	grep -qE " ExitCode=$2:0( |\$)" <<<"$said" || fail "job $1 did not exit with $2: $said"
}

expect_log() { # DIR TEXT
	grep -qF -- "$2" "$1.log" || fail "not in $1.log: $2"
}

expect_no_log() { # DIR TEXT
	! grep -qF -- "$2" "$1.log" || fail "in $1.log: $2"
}

n_launches() { # DIR
	grep -cF "train.sbatch: job " "$1.log" || true
}

expect_launches() { # DIR N
	[ "$(n_launches "$1")" = "$2" ] || fail "$1.log tells of $(n_launches "$1") launches, not $2"
}

# The training was stopped for the reason, saved, and went on from there.
expect_stopped() { # DIR REASON
	local step
	step=$(sed -n "s/.*: stopped by $2.* after saving at step \([0-9]*\): .*/\1/p" "$1.log")
	[ -n "$step" ] || fail "$1.log does not tell of a stop by $2"
	expect_log "$1" "mpirun ended with 75"
	expect_log "$1" "resuming from $1/ckpt-$step.weights.h5: step $step, "
}

# The first process that has VARIABLE=VALUE, and ANOTHER=VALUE, in its environment and WORD in its command. Those of the nodes are seen from here too.
process_with() { # VARIABLE=VALUE WORD [ANOTHER=VALUE]
	local file pid
	for file in $(grep -lszx -- "$1" /proc/[0-9]*/environ); do
		pid=${file//[!0-9]/}
		grep -qszFx -- "$2" "/proc/$pid/cmdline" && grep -qszFx -- "${3:-$1}" "$file" && echo "$pid" && return
	done
	return 1
}

rank_of_job() { # RANK [JOB]: prints its process
	process_with "OMPI_COMM_WORLD_RANK=$1" "$program" ${2:+"SLURM_JOB_ID=$2"}
}

script_of_job() { # JOB: prints the process of its script
	process_with "SLURM_JOB_ID=$1" "$source_dir/jobs/train.sbatch"
}

# The training in the folder is at its end, and that is the end of a run that nothing happened to.
expect_same_bits() { # DIR
	local end
	end=$(newest_step "$1")
	[ "$end" -gt 0 ] || fail "there is no checkpoint in $1"
	run checkpoints verify "$1"
	expect_exit 0
	[ -e "reference-$end" ] || train 1 "reference-$end" --config /dev/null --max-steps "$end" --save-checkpoints-steps "$end"
	expect_identical "reference-$end" "$1"
	expect_no_leftovers "$1"
	[ ! -e "$1/.slurm" ] || fail "the job left its notes behind"
	echo "$1: the same bits at step $end"
}

start_cluster
make_data data
train_without_end
