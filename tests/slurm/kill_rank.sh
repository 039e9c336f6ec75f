#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# kill -9 of a rank: the job starts the training again where it is, on all of its nodes, and Slurm notices nothing.
set -euo pipefail
# shellcheck source=jobs.sh
. "$(dirname "$0")/jobs.sh"

# As it is in a job that was submitted with --export=NONE.
SLURM_EXPORT_ENV=NONE submit run
until_saved run 200
let_end
kill -KILL "$(until_true rank_of_job 2)"
until_state "$job" COMPLETED
expect_log run "mpirun ended with 137"
expect_launches run 2
expect_restarts "$job" 0
expect_same_bits run
