#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# scontrol requeue: the job goes on by itself. scancel, or the signal to a job that may not be requeued: it does not; the same command goes on with
# the training, on another number of ranks too.
set -euo pipefail
# shellcheck source=jobs.sh
. "$(dirname "$0")/jobs.sh"

submit requeued
until_saved requeued 200
let_end
scontrol requeue "$job"
until_state "$job" COMPLETED
expect_launches requeued 2
expect_restarts "$job" 1
expect_same_bits requeued

train_without_end
submit cancelled
until_saved cancelled 200
scancel "$job"
until_state "$job" CANCELLED
expect_launches cancelled 1
expect_no_log cancelled "requeued"
step=$(newest_step cancelled)
let_end
submit cancelled --ntasks=3
until_state "$job" COMPLETED
expect_launches cancelled 2
expect_log cancelled "from step $step"
expect_same_bits cancelled

# A rank dies, and while the script asks whether the nodes answer the job is cancelled.
train_without_end
stand_in srun <<-END
	case \$* in *--overlap*) ;; *) exec $(command -v srun) "\$@" ;; esac # mpirun's are others
	touch $scratch/asked
	sleep 1000
END
submit asking "${with_stand_ins[@]}"
until_saved asking 200
kill -KILL "$(until_true rank_of_job 1)"
until_true test -e asked
scancel "$job"
until_state "$job" CANCELLED
expect_launches asking 1
expect_no_log asking "requeued"
expect_log asking "ended by Slurm"

# It was told to stop, has saved and asks to be requeued, and at that moment is cancelled.
rm -r bin
stand_in scontrol <<-END
	touch $scratch/at_requeue
	until test -e $scratch/go; do sleep 0.1; done
	exec $(command -v scontrol) "\$@"
END
submit requeuing "${with_stand_ins[@]}"
until_saved requeuing 200
scancel --batch --signal=USR1 "$job"
until_true test -e at_requeue
scancel "$job"
touch go
until_state "$job" CANCELLED
expect_launches requeuing 1

# The controller is away when it asks to be requeued, and is back between one question and the next.
rm -r bin
stand_in scontrol <<-END
	test ! -e $scratch/once || touch $scratch/twice
	touch $scratch/once
	test -e $scratch/back || exit 1
	exec $(command -v scontrol) "\$@"
END
stand_in squeue <<-END
	test -e $scratch/twice || exit 1
	touch $scratch/back
	exec $(command -v squeue) "\$@"
END
submit patient "${with_stand_ins[@]}"
until_saved patient 200
let_end
scancel --batch --signal=USR1 "$job"
until_state "$job" COMPLETED
test -e back || fail "the controller was not away"
expect_restarts "$job" 1
expect_same_bits patient
train_without_end

submit stopped
until_saved stopped 200
let_end
scontrol update JobId="$job" Requeue=0
scancel --batch --signal=USR1 "$job"
until_state "$job" FAILED
expect_log stopped "cannot be requeued"
expect_launches stopped 1
submit stopped
until_state "$job" COMPLETED
expect_stopped stopped "signal SIGUSR1"
expect_launches stopped 2
expect_same_bits stopped
