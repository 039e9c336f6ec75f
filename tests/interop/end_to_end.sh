#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A model goes from Keras to ftmpi and back: made and trained by Keras, trained on here through a kill and a relaunch on fewer ranks, exported, evaluated by
# Keras. And Keras's own loss curve comes out here, batch for batch.
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

need_keras
make_data data --train 600 --test 100

run_keras end_to_end.py make data made.keras
expect_stdout "iterations 25"

train=(--data data --model made.keras --batch-size 24 --logical-workers 4 --max-steps 85 --save-checkpoints-steps 20 --model-dir run)
run_fault step.end:kill,rank=1,hit=45 4 "${train[@]}" --no-async-checkpoint # no save is in flight at the death
expect_exit 137
expect_stdout "starting from made.keras: its weights and optimizer state"
run_ftmpi 2 "${train[@]}"
expect_exit 0
expect_stdout "resuming from run/ckpt-60.weights.h5: step 60,"
run_ftmpi 3 "${train[@]}" --model-dir whole
expect_exit 0
expect_identical run whole

run export run back.keras
expect_exit 0
expect_stdout "wrote back.keras from run/ckpt-85.weights.h5"
run evaluate --data data --model-dir run
expect_exit 0
mine=$(sed -n 's/ (100 samples.*//p' "$last.out")
run_keras end_to_end.py evaluate data back.keras
expect_stdout "$mine iterations 85"

for kind in sgd adam; do
	run_keras end_to_end.py start data "$kind" "$kind.keras"
	run --data data --model "$kind.keras" --no-shuffle --batch-size 24 --logical-workers 2 --epochs 1 --progress log --log-step-count-steps 1 --model-dir "$kind"
	expect_exit 0
	cp "$last.out" "$kind.log"
	run_keras end_to_end.py compare "$kind.losses" "$kind.log"
	cat "$last.out"
done
