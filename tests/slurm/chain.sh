#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A chain of short jobs: one that is told to stop leaves the rest to the next, and one that is done, or finds that it cannot go on, cancels those
# that wait.
set -euo pipefail
# shellcheck source=jobs.sh
. "$(dirname "$0")/jobs.sh"

submit_script chain.sbatch run --array=1-4%1
until_saved run 200
let_end
# As Slurm does before the limit. (scancel to one job of an array says that it failed and sends the signal again 5 s later, in Slurm 22.05.)
kill -USR1 "$(script_of_job "$(job_field "${job}_1" %A)")"
until_state "${job}_1" FAILED
expect_log run "the next job of the chain goes on"
until_true chain_is "$job" "FAILED COMPLETED CANCELLED"
expect_stopped run "signal SIGUSR1"
expect_launches run 2
expect_same_bits run

# From the folder of the scripts, by another name, with another folder to run in; and a user who likes to be asked before a job is cancelled.
mkdir "my jobs"
cp "$source_dir/jobs/train.sbatch" "my jobs"
cp "$source_dir/jobs/chain.sbatch" "my jobs/long chain.sbatch"
job=$(cd "my jobs" && SCANCEL_INTERACTIVE=true sbatch --parsable --output="$scratch/option.log" --chdir="$scratch" --array=1-3%1 \
	"./long chain.sbatch" option --data "$scratch/data" --batch-size 0) || fail "sbatch"
until_true chain_is "$job" "FAILED CANCELLED"
expect_job_exit "${job}_1" 64
expect_launches option 1

submit_script chain.sbatch --usage --output="$scratch/usage.log" --array=1-3%1
until_true chain_is "$job" "FAILED CANCELLED"
expect_job_exit "${job}_1" 64
expect_log usage "usage: sbatch "

# The last job of a chain has the chain's number.
train_without_end
submit_script chain.sbatch last --array=1-1
until_saved last 200
let_end
kill -KILL "$(until_true rank_of_job 1)"
until_state "${job}_1" COMPLETED
expect_launches last 2
expect_same_bits last
