#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Options from a file and from the environment: what wins, and that a fault there is named with its place.
set -euo pipefail
# shellcheck source=cli.sh
. "$(dirname "$0")/cli.sh"

make_data data

bad_file() { # CODE TEXT CONTENT: as printf's format
	# shellcheck disable=SC2059
	printf -- "$3" >bad.conf
	keep_tree
	refused "$1" "$2" --data data --model-dir run --config bad.conf
}

bad_environment() { # TEXT NAME=VALUE [ARG…]
	local text=$1 setting=$2
	shift 2
	run_command env "$setting" "$program" --data data --model-dir run "${small[@]}" "$@"
	expect_refusal 64 "$text"
}

# Faults of the file.
keep_tree
refused 66 "--config nowhere.conf: No such file or directory" --data data --config nowhere.conf
refused_on 2 66 "--config nowhere.conf: No such file or directory" --data data --config=nowhere.conf
refused 74 "--config data: Is a directory" --data data --config data
refused 64 "--config needs a value" --data data --config
bad_file 64 "bad.conf: line 2 is not 'key = value'" 'seed = 3\nbatch-size 16\n'
bad_file 64 "bad.conf: line 1 is not 'key = value'" '= 3\n'
bad_file 64 "bad.conf, line 3: there is no option 'batchsize'" '# a comment\n\nbatchsize = 16\n'
bad_file 64 "bad.conf, line 1: there is no option '--batch-size'" '--batch-size = 16\n'
bad_file 64 "bad.conf, line 1: there is no option 'config'" 'config = other.conf\n'
bad_file 64 "bad.conf, line 2: batch-size: 'many' is not a whole number" 'seed = 3\nbatch-size = many\n'
bad_file 64 "bad.conf, line 1: batch-size: 0 is out of range" 'batch-size=0'
bad_file 64 "bad.conf, line 1: batch-size: '' is not a whole number" 'batch-size =\n'
bad_file 64 "bad.conf, line 1: shuffle: 'yes' is neither true nor false" 'shuffle = yes\n'
bad_file 64 "bad.conf, line 1: learning-rate: 'nan' is not a number" 'learning-rate = nan\n'
bad_file 64 "bad.conf: line 1 is too long" "model-dir = $(printf 'x%.0s' {1..5000})\\n"
bad_file 64 "--config bad.conf: not a text" 'seed = 3\0\nbatch-size = 16\n'
bad_file 64 "--max-steps and --steps cannot both be given" 'steps = 3\nmax-steps = 16\n'
head -c 3000 "$program" >binary.conf
keep_tree
refused 64 "--config binary.conf: not a text" --data data --model-dir run --config binary.conf
head -c 1100000 /dev/zero | tr '\0' '#' >long.conf
keep_tree
refused 64 "--config long.conf: longer than 1 MiB" --data data --model-dir run --config long.conf

# Faults of the environment; a variable of a command that is not run does not count.
bad_environment "environment FTMPI_BATCH_SIZE: batch-size: 'many' is not a whole number" FTMPI_BATCH_SIZE=many
bad_environment "environment FTMPI_BATCH_SIZE: batch-size: '' is not a whole number" FTMPI_BATCH_SIZE=
bad_environment "environment FTMPI_SAVE_CHECKPOINTS_STEPS: save-checkpoints-steps: 0 is out of range" FTMPI_SAVE_CHECKPOINTS_STEPS=0
bad_environment "environment FTMPI_NESTEROV: nesterov: 'on' is neither true nor false" FTMPI_NESTEROV=on
bad_environment "environment FTMPI_OPTIMIZER: optimizer: 'sdg' is none of" FTMPI_OPTIMIZER=sdg
bad_environment "environment FTMPI_BATCH_SIZE: batch-size: 'many' is not a whole number" FTMPI_BATCH_SIZE=many --batch-size 16
bad_environment "--momentum means nothing to --optimizer adam" FTMPI_MOMENTUM=0.9
run_command env FTMPI_CONFIG=nowhere.conf "$program" --data data --model-dir run
expect_refusal 66 "--config nowhere.conf: No such file or directory"

# Command line > environment > file > default, as the checkpoint shows.
cat >good.conf <<'CONF'
# what this run is
   hidden-units =  8,4

batch-size = 16
seed=5
	epochs = 1
learning-rate = 5e-3
shuffle = 0
dropout = 0.25
CONF
printf 'activation = tanh\r\nmodel-dir = with spaces/run\r\n' >>good.conf

expect_saved() { # NAME VALUE
	expect_stdout_line "^  $1 = $2\$"
}

run_command env FTMPI_BATCH_SIZE=24 FTMPI_SEED=6 FTMPI_SHUFFLE=true FTMPI_OUTPUT=never.h5 \
	"$program" --seed=7 --data data --config good.conf --no-shuffle
expect_success
run checkpoints show "with spaces/run"
expect_success
expect_saved hidden-units 8,4       # file
expect_saved learning-rate 0.005    # file
expect_saved dropout 0.25           # file
expect_saved activation tanh        # file
expect_saved batch-size 24          # environment over file
expect_saved seed 7                 # command line over environment over file
expect_saved shuffle false          # command line over environment
expect_saved optimizer adam         # default
expect_saved epochs 1
expect_saved model-dir "with spaces/run"
expect_saved data data

# The same for options that exclude one another.
printf 'save-checkpoints-steps = 5\nmax-steps = 11\n' >cadence.conf
good --data data --hidden-units 8 --config cadence.conf --model-dir cadence
[ "$(cd cadence && echo c*)" = "checkpoint ckpt-10.weights.h5 ckpt-11.weights.h5 ckpt-5.weights.h5" ] || fail "not saved at 5, 10 and 11"
good --data data --hidden-units 8 --config cadence.conf --model-dir cadence2 --save-checkpoints-epochs 1 --steps 8
[ "$(cd cadence2 && echo c*)" = "checkpoint ckpt-7.weights.h5 ckpt-8.weights.h5" ] || fail "not saved at 7 and 8"

# What a checkpoint keeps is a file for --config, and means the same run.
run checkpoints show cadence2
sed -n '/^ftmpi\/config:/,/^ftmpi\/[^c]/s/^  //p' "$last.out" >again.conf
expect_saved steps 8
good --config again.conf --model-dir again
expect_identical cadence2 again

# An interval that is to be found out, and its budget, in each of the places and in each way to write them.
printf 'checkpoint-interval = auto\ncheckpoint-overhead = 2.5%%\n' >auto.conf
good --data data --hidden-units 8 --config auto.conf --model-dir auto --max-steps 11
[ "$(cd auto && echo c*)" = "checkpoint ckpt-10.weights.h5 ckpt-11.weights.h5" ] || fail "not saved at 10 and 11"
run checkpoints show auto
expect_saved checkpoint-interval auto
expect_saved checkpoint-overhead 2.5%
sed -n '/^ftmpi\/config:/,/^ftmpi\/[^c]/s/^  //p' "$last.out" >again.conf
good --config again.conf --model-dir auto2
run checkpoints show auto2
expect_saved checkpoint-interval auto
for value in 1%=1% 0.01=1% 33.3%=33.3% 0.333=0.333 100%=100% 1=100% 1e-9=1e-09; do
	run_command env FTMPI_CHECKPOINT_INTERVAL=auto "FTMPI_CHECKPOINT_OVERHEAD=${value%=*}" \
		"$program" --data data --hidden-units 8 --model-dir "auto-$value" --max-steps 1
	expect_success
	run checkpoints show "auto-$value"
	expect_saved checkpoint-overhead "${value#*=}"
done
# One from the command line is stronger than the file's; what the file says of the budget is then of no use, and no mistake.
good --data data --hidden-units 8 --config auto.conf --model-dir auto3 --max-steps 11 --save-checkpoints-steps 5
[ "$(cd auto3 && echo c*)" = "checkpoint ckpt-10.weights.h5 ckpt-11.weights.h5 ckpt-5.weights.h5" ] || fail "not saved at 5, 10 and 11"
run checkpoints show auto3
expect_no_stdout checkpoint-interval
good --data data --hidden-units 8 --config cadence.conf --model-dir auto4 --checkpoint-interval auto --checkpoint-overhead 3%
[ "$(cd auto4 && echo c*)" = "checkpoint ckpt-10.weights.h5 ckpt-11.weights.h5" ] || fail "not saved at 10 and 11"

# Of two values on one command line the last counts, wherever --config stands.
good --data data --model-dir run --epochs 1 --hidden-units 8 --seed 3 --seed 4 --shuffle=false --shuffle --nesterov=false --no-strict
run checkpoints show run
expect_saved seed 4
expect_saved shuffle true
good --config good.conf --data data --model-dir run2 --seed 9
run checkpoints show run2
expect_saved seed 9
good --data data --model-dir run3 --seed 9 --config good.conf
expect_identical run2 run3

# Flags: --x, --x=true, --x=1, --no-x, --x=false, --x=0; in a file and the environment the same words.
state_of() { # ARG…: digest of a run with these arguments
	rm -rf state
	run --data data --model-dir state --epochs 1 --hidden-units 8 "$@"
	expect_success
	printed_digest
}
on=$(state_of)
off=$(state_of --no-shuffle)
[ "$on" != "$off" ] || fail "--no-shuffle changes nothing"
for flag in --shuffle --shuffle=true --shuffle=1; do
	[ "$(state_of $flag)" = "$on" ] || fail "$flag is not on"
done
for flag in --shuffle=false --shuffle=0; do
	[ "$(state_of $flag)" = "$off" ] || fail "$flag is not off"
done
[ "$(FTMPI_SHUFFLE=0 state_of)" = "$off" ] || fail "FTMPI_SHUFFLE=0 is not off"
[ "$(FTMPI_SHUFFLE=0 state_of --shuffle)" = "$on" ] || fail "--shuffle does not win over FTMPI_SHUFFLE=0"

# A file for training serves evaluate, too: options of other commands are passed over there, unknown ones are not.
good evaluate --config good.conf --data data
expect_stdout "with spaces/run/ckpt-"
printf 'nonsense = 1\n' >bad.conf
keep_tree
refused 64 "bad.conf, line 1: there is no option 'nonsense'" evaluate --config bad.conf --data data
