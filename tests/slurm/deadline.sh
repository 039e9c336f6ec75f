#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A job that gets no signal before its limit: ftmpi asks Slurm at each launch when the job ends, and stops before. So that the test need not wait for
# a limit of a minute, the job's end is brought forward, and the training launched again by the death of a rank.
set -euo pipefail
# shellcheck source=jobs.sh
. "$(dirname "$0")/jobs.sh"

# Whatever format of times the user likes.
export SLURM_TIME_FORMAT=relative
submit run --signal=B:URG@1
until_saved run 200
expect_log run "time ends in 86"
scontrol update JobId="$job" EndTime="$(date --date='30 seconds' +%FT%T)"
kill -KILL "$(until_true rank_of_job 1)"
until_true grep -qE "time ends in [0-9]{1,2} s: saving and stopping before" run.log
let_end
until_true grep -qF "train.sbatch: requeued" run.log
scontrol update JobId="$job" TimeLimit=60
until_state "$job" COMPLETED
expect_no_log run "DUE TO TIME LIMIT"
expect_stopped run "the deadline in "
expect_launches run 3
expect_restarts "$job" 1
expect_same_bits run
