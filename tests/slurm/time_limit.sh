#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The limit of a job's time comes near: it is told so, stops, is requeued and goes on. Beside it a job, and one of a chain, that are not told, and
# are ended at the limit: the training goes on from the last checkpoint; and jobs that reach it while they ask to be requeued, or begin a launch.
# Slurm looks at the limits every 30 s; saving more often makes the steps slower until then.
set -euo pipefail
# shellcheck source=jobs.sh
. "$(dirname "$0")/jobs.sh"

training+=(--save-checkpoints-steps 2 --keep-checkpoint-max 5)
submit told --nodes=2 --ntasks=2 --time=2 --signal=B:USR1@50
told=$job
# Whatever jobs the user likes to see.
SQUEUE_USERS=nobody SQUEUE_STATES=PENDING submit ended --nodes=1 --ntasks=2 --signal=B:URG@1
ended=$job
stand_in scontrol <<-END
	until grep -q "DUE TO TIME LIMIT" $scratch/late.log; do sleep 0.1; done
	exec $(command -v scontrol) "\$@"
END
submit late --nodes=1 --ntasks=2 --signal=B:URG@1 "${with_stand_ins[@]}"
late=$job
# The script finds out where the training is without a command that Slurm could end together with the job.
stand_in sed <<<"exit 143"
stand_in squeue <<-END
	$(command -v squeue) "\$@" || exit
	touch $scratch/answered.\$SLURM_JOB_ID
END
submit again --nodes=1 --ntasks=2 --signal=B:URG@1 "${with_stand_ins[@]}"
again=$job
submit_script chain.sbatch chain --nodes=1 --ntasks=2 --array=1-3%1 --signal=B:URG@1
chain=$job
for dir in told ended late again chain; do until_true test -e "$dir/checkpoint"; done
let_end
scancel --batch --signal=USR1 "$late"
# The script waits for a reader of its notes.
rm again/.slurm
mkfifo again/.slurm
kill -KILL "$(until_true rank_of_job 1 "$again")"
until_true test -e "answered.$again"
for job in "$ended" "$late" "$again" "${chain}_1"; do scontrol update JobId="$job" EndTime="$(date --date='10 seconds' +%FT%T)"; done

until_true grep -qF "DUE TO TIME LIMIT" again.log
cat again/.slurm
rm again/.slurm
until_true grep -qF "train.sbatch: requeued" told.log
scontrol update JobId="$told" TimeLimit=60
until_state "$told" COMPLETED
expect_stopped told "signal SIGUSR1"
until_state "$ended" COMPLETED
until_state "$late" COMPLETED
until_state "$again" COMPLETED
for dir in ended late again; do expect_log "$dir" "DUE TO TIME LIMIT"; done
# The launch that had begun already trained nothing.
expect_launches again 3
[ "$(grep -cF "resuming from" again.log)" = 1 ] || fail "a launch of again trained although Slurm had ended the job"
for dir in told ended late; do expect_launches "$dir" 2; done
for dir in told ended late again; do
	expect_log "$dir" "train.sbatch: requeued"
	expect_restarts "${!dir}" 1
	expect_same_bits "$dir"
done

until_true chain_is "$chain" "TIMEOUT COMPLETED CANCELLED"
expect_launches chain 2
expect_same_bits chain
