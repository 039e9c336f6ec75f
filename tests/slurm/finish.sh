#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A job that trains to its end; the ends after which there is nothing to go on with; and a training that gets nowhere.
set -euo pipefail
# shellcheck source=jobs.sh
. "$(dirname "$0")/jobs.sh"

submit run -- --max-steps 300
until_state "$job" COMPLETED
expect_log run " on node[1-4], from step 0"
expect_launches run 1
expect_same_bits run

# Once more: it does not start again.
before=$(checksums run)
submit run -- --max-steps 300
until_state "$job" COMPLETED
expect_launches run 2
expect_log run "finished already"
[ "$(checksums run)" = "$before" ] || fail "a finished run was altered"

expect_failure() { # DIR CODE LAUNCHES
	until_state "$job" FAILED
	expect_job_exit "$job" "$2"
	expect_restarts "$job" 0
	expect_launches "$1" "$3"
	[ -z "$(steps_of "$1")" ] || fail "$1 has checkpoints"
	[ ! -e "$1/.slurm" ] || fail "the job left its notes behind"
}

# What would end in the same way again: an option, data, a program that is not there.
submit option -- --batch-size 0
expect_failure option 64 1
submit no_data -- --data "$scratch/nowhere"
expect_failure no_data 66 1
FTMPI_PROGRAM=$scratch/nowhere submit no_program
expect_failure no_program 66 0

# What the script itself cannot do is nothing to the end: a folder that is a file, notes on a disk that can only be read, a log on one that is full.
touch file
submit file
until_state "$job" FAILED
expect_job_exit "$job" 74
stand_in rm <<<"exit 1"
submit read_only "${with_stand_ins[@]}" -- --batch-size 0
until_state "$job" FAILED
expect_job_exit "$job" 64
submit full --output=/dev/full -- --max-steps 300
until_state "$job" COMPLETED
expect_same_bits full

# Submitted in a job of an array, with the environment of that.
array=$(sbatch --parsable --hold --array=1-2 --output=/dev/null --wrap true)
export SLURM_ARRAY_JOB_ID=$array SLURM_ARRAY_TASK_ID=1 SLURM_ARRAY_TASK_MAX=2
submit nested -- --max-steps 300
until_state "$job" COMPLETED
is_in_state "${array}_2" PENDING || fail "the array is $(job_field "$array" %T)"
unset SLURM_ARRAY_JOB_ID SLURM_ARRAY_TASK_ID SLURM_ARRAY_TASK_MAX
scancel "$array"

# A rank that dies before the first checkpoint of each launch.
OMPI_MCA_odls_base_sigkill_timeout=0 FTMPI_FAULT=step.begin:kill,rank=1,hit=3 submit fruitless
expect_failure fruitless 70 4
expect_log fruitless "4 launches in a row brought no new checkpoint: giving up"

# What was counted outlives the launches of the script; what another job has counted is nothing to this one.
submit noted --hold -- --max-steps 200
mkdir noted
echo "$job 0 3" >noted/.slurm
scontrol release "$job"
expect_failure noted 70 0
mkdir noted
echo "$job 0 3" >noted/.slurm
submit noted -- --max-steps 200
until_state "$job" COMPLETED
expect_same_bits noted
