#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A job of another partition needs the nodes: the training is told to stop, makes room, and goes on afterwards.
set -euo pipefail
# shellcheck source=jobs.sh
. "$(dirname "$0")/jobs.sh"

# Slurm's answer comes when it has ended the processes of the job already.
stand_in scontrol <<-END
	$(command -v scontrol) "\$@" || exit
	until grep -q "Sent signal 15 to StepId=\$SLURM_JOB_ID.batch" $cluster/node1.log; do sleep 0.1; done
END
submit run "${with_stand_ins[@]}"
until_saved run 200
let_end
urgent=$(sbatch --parsable --partition=high --nodes=4 --exclusive --output=/dev/null --wrap "until test -e '$scratch/over'; do sleep 0.1; done")
until_state "$urgent" RUNNING
is_in_state "$job" PENDING || fail "job $job is $(job_field "$job" %T) while another has its nodes"
expect_log run "train.sbatch: requeued"
expect_launches run 1
touch over
until_state "$urgent" COMPLETED
until_state "$job" COMPLETED
expect_stopped run "signal SIGUSR1"
expect_launches run 2
expect_restarts "$job" 1
expect_same_bits run
