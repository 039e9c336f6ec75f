#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The limit of a job's time comes near: it is told so, stops, is requeued and goes on. Beside it a job, and one of a chain, that are not told, and
# are ended at the limit: the training goes on from the last checkpoint. Slurm looks at the limits every 30 s; saving more often makes the steps
# slower until then.
set -euo pipefail
# shellcheck source=jobs.sh
. "$(dirname "$0")/jobs.sh"

training+=(--save-checkpoints-steps 2 --keep-checkpoint-max 5)
submit told --nodes=2 --ntasks=2 --time=2 --signal=B:USR1@50
told=$job
# Whatever jobs the user likes to see.
SQUEUE_USERS=nobody SQUEUE_STATES=PENDING submit ended --nodes=1 --ntasks=2 --signal=B:URG@1
ended=$job
submit_script chain.sbatch chain --nodes=1 --ntasks=2 --array=1-3%1 --signal=B:URG@1
chain=$job
for dir in told ended chain; do until_true test -e "$dir/checkpoint"; done
let_end
for job in "$ended" "${chain}_1"; do scontrol update JobId="$job" EndTime="$(date --date='10 seconds' +%FT%T)"; done

until_true grep -qF "train.sbatch: requeued" told.log
scontrol update JobId="$told" TimeLimit=60
until_state "$told" COMPLETED
expect_stopped told "signal SIGUSR1"
until_state "$ended" COMPLETED
expect_log ended "DUE TO TIME LIMIT"
for dir in told ended; do
	expect_log "$dir" "train.sbatch: requeued"
	expect_launches "$dir" 2
	expect_restarts "${!dir}" 1
	expect_same_bits "$dir"
done

until_true chain_is "$chain" "TIMEOUT COMPLETED CANCELLED"
expect_launches chain 2
expect_same_bits chain
