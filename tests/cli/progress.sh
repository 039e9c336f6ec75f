#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What training prints: Keras's lines, its bar, and the Estimator's log lines; which of them it chooses; and what a relaunch says first.
set -euo pipefail
# shellcheck source=cli.sh
. "$(dirname "$0")/cli.sh"

need_python pty h5py
make_data data # seven batches
train=(--data data "${small[@]}")

x='[0-9]+\.[0-9]{4}'
time='[0-9]+s|[0-9]+:[0-9]{2}'
step_time='[0-9]+(us|ms|s)/step'
metrics="accuracy: $x - loss: $x"
validation="val_accuracy: $x - val_loss: $x"
epoch="7/7 - ($time) - $step_time - $metrics - $validation"
cells='━━━━━━━━━━━━━━━━━━━━'
bar="7/7 $cells ($time) $step_time - $metrics - $validation"
digest='state digest: [0-9a-f]{32}'

# The last run's output, without colours, is these lines: regular expressions.
expect_lines() { # LINE…
	local got wanted n=0
	mapfile -t got < <(sed -E 's/\x1b\[[0-9]*[mK]//g; s/\r+$//' "$last.out" | tr '\r' '\n')
	for wanted in "$@"; do
		[[ ${got[n]-} =~ ^($wanted)$ ]] || fail "line $((n + 1)) is '${got[n]-}', not like '$wanted'"
		n=$((n + 1))
	done
	[ "$n" = "${#got[@]}" ] || fail "more lines than expected: ${got[n]}"
}

on_terminal() { # COMMAND…
	run_command "$python" "$cli_dir/on_terminal.py" "$@"
}

# The same; a bar that is not whole is drawn again, and how often is a matter of time.
expect_bar_lines() { # LINE…
	sed -i -E ':again; s/\r\x1b\[K[^\r\n]*\x1b\[37m[^\r\n]*(\r\x1b)/\1/; t again' "$last.out"
	expect_lines "$@"
}

expect_bar() {
	expect_bar_lines "Epoch 1/2" "" "$bar" "Epoch 2/2" "" "$bar" "$digest"
}

run_command "$mpiexec" -n 1 readlink /proc/self/fd/1
grep -q '^/dev/pts/' "$last.out" || echo "note: this mpirun gives its ranks no terminal, so the choice of lines behind a pipe is not hard"

# Lines: asked for, chosen for a file and a pipe, without a launcher and with one, though mpirun gives its rank 0 a terminal.
good "${train[@]}" --model-dir lines --progress lines
expect_lines "Epoch 1/2" "$epoch" "Epoch 2/2" "$epoch" "$digest"
reference=$(printed_digest)
printed=$(sed -nE 's/.*step - (accuracy)/\1/p' "$last.out")
# shellcheck disable=SC2016
saved=$("$python" -c 'if True:
	import h5py
	history = h5py.File("lines/ckpt-14.weights.h5")["ftmpi/history"]
	names = ("accuracy", "loss", "val_accuracy", "val_loss")
	for row in zip(*(history[name] for name in names)):
		print(" - ".join(f"{name}: {value:.4f}" for name, value in zip(names, row)))')
[ "$printed" = "$saved" ] || fail "printed was '$printed', saved '$saved'"
good "${train[@]}" --model-dir auto
expect_lines "Epoch 1/2" "$epoch" "Epoch 2/2" "$epoch" "$digest"
run_ftmpi 2 "${train[@]}" --model-dir auto2
expect_success
expect_lines "Epoch 1/2" "$epoch" "Epoch 2/2" "$epoch" "$digest"
# shellcheck disable=SC2016
run_command sh -c '"$@" | cat' sh "$mpiexec" -n 2 "$program" "${train[@]}" --model-dir auto3
expect_success
expect_lines "Epoch 1/2" "$epoch" "Epoch 2/2" "$epoch" "$digest"
# shellcheck disable=SC2016
on_terminal sh -c '"$@" | cat' sh "$mpiexec" -n 2 "$program" "${train[@]}" --model-dir auto4
expect_exit 0
expect_lines "Epoch 1/2" "$epoch" "Epoch 2/2" "$epoch" "$digest"
on_terminal "$program" "${train[@]}" --model-dir lines2 --progress lines
expect_exit 0
expect_lines "Epoch 1/2" "$epoch" "Epoch 2/2" "$epoch" "$digest"

# The bar: asked for, and chosen on a terminal.
good "${train[@]}" --model-dir bar --progress bar
grep -qF $'\r\033[K\033[1m1/7\033[0m \033[32m━━\033[37m━━━━━━━━━━━━━━━━━━\033[0m \033[1m' "$last.out" || fail "no bar at the first step"
grep -qF $'\r\033[K\033[1m7/7\033[0m \033[32m'$cells$'\033[0m \033[1m' "$last.out" || fail "no whole bar"
expect_bar
[ "$(printed_digest)" = "$reference" ] || fail "the bar changes the result"
on_terminal "$program" "${train[@]}" --model-dir bar2
expect_exit 0
expect_bar
on_terminal "$mpiexec" -n 2 "$program" "${train[@]}" --model-dir bar3
expect_exit 0
expect_bar

# An error does not stand behind an unfinished bar.
on_terminal "$program" --data data --hidden-units 8,8,8,8 --activation linear --optimizer sgd --learning-rate 1e6 --model-dir bar4
expect_exit 76
sed 's/\r$//' "$last.out" | grep '^ftmpi: error: model diverged' >/dev/null || fail "the error is not on a line of its own"

# The log. With a save in flight "after" comes at the step that it is over in.
good "${train[@]}" --model-dir log --progress log --log-step-count-steps 5 --save-checkpoints-steps 6 --no-async-checkpoint
number='[0-9]+(\.[0-9]+)?'
saving() { # DIR STEP: sets saved to the lines of a save
	saved=("Calling checkpoint listeners before saving checkpoint $2\\.\\.\\." "Saving checkpoints for $2 into $1/ckpt\\."
		"Calling checkpoint listeners after saving checkpoint $2\\.\\.\\.")
}
saving log 6 && at6=("${saved[@]}")
saving log 12 && at12=("${saved[@]}")
saving log 14 && at14=("${saved[@]}")
expect_lines "loss = $number, step = 0" \
	"global_step/sec: $number(e\\+[0-9]+)?" "loss = $number, step = 5 \\([0-9]+\\.[0-9]{3} sec\\)" \
	"${at6[@]}" \
	"global_step/sec: $number(e\\+[0-9]+)?" "loss = $number, step = 10 \\([0-9]+\\.[0-9]{3} sec\\)" \
	"${at12[@]}" "${at14[@]}" "Loss for final step: $number\\." "$digest"
[ "$(printed_digest)" = "$reference" ] || fail "the log changes the result"

# A run that is cut off within an epoch, and its relaunches: the first line says where it goes on.
good --data data --hidden-units 8 --model-dir cut --max-steps 10
expect_lines "Epoch 1" "$epoch" "Epoch 2" "3/7 - ($time) - $step_time - $metrics" "$digest"
good --data data --hidden-units 8 --model-dir cut --epochs 2
expect_lines "resuming from cut/ckpt-10\\.weights\\.h5: step 10, epoch 2, batch 3 of 7 \\(np 1, 1 logical workers\\)" \
	"Epoch 2/2" "$epoch" "$digest"
[ "$(printed_digest)" = "$reference" ] || fail "the cut changes the result"
good "${train[@]}" --model-dir cut --progress log
expect_lines "finished already: cut/ckpt-14\\.weights\\.h5 is at step 14 with 2 epochs done; raise --epochs or --max-steps to go on" "$digest"
good --data data --hidden-units 8 --model-dir cut --steps 2 --progress log
saving cut 16
expect_lines "resuming from cut/ckpt-14\\.weights\\.h5: step 14, epoch 3, batch 0 of 7 .*" "loss = $number, step = 14" \
	"${saved[@]}" "Loss for final step: $number\\." "$digest"
run_ftmpi 2 --data data --hidden-units 8 --model-dir cut --epochs 3 --progress bar
expect_success
expect_bar_lines "2 ranks for 1 logical workers: .*" "resuming from cut/ckpt-16\\.weights\\.h5: step 16, epoch 3, batch 2 of 7 .*" \
	"Epoch 3/3" "" "$bar" "$digest"

# Without test data there is nothing of validation; the only epoch is not numbered.
make_data train_only --test 0
good --data train_only --hidden-units 8 --epochs 1 --model-dir train_only_run
expect_lines "7/7 - ($time) - $step_time - $metrics" "$digest"
good --data train_only --hidden-units 8 --epochs 1 --model-dir train_only_bar --progress bar
expect_bar_lines "" "7/7 $cells ($time) $step_time - $metrics" "$digest"
