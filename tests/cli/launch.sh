#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ftmpi launch with a stand-in for mpirun: what it runs, what it makes of each way to end, and signals. tests/fault/launch.sh has the real one.
set -euo pipefail
# shellcheck source=cli.sh
. "$(dirname "$0")/cli.sh"

# The stand-in notes its arguments and does what the line of its number in `acts` says.
cat >mpirun.sh <<'TEXT'
echo "$*" >>calls
eval "$(sed -n "$(wc -l <calls)p" acts)"
TEXT
standin="bash $scratch/mpirun.sh"

# Every line of standard input is what one attempt does.
acts() {
	cat >acts
	rm -rf calls run
	mkdir run
}

launch() { # OPTION… -- TRAINING-OPTION…
	run launch --mpirun "$standin" --backoff-secs 0.01 "$@" --model-dir run
}

expect_calls() { # NUMBER
	[ "$(wc -l <calls)" = "$1" ] || fail "$(wc -l <calls) attempts where $1 were expected: $(cat calls)"
}

# The numbers of ranks of the attempts.
expect_ranks() { # "NP NP…"
	local ranks
	ranks=$(sed -n 's/.*-n \([0-9]*\) .*/\1/p' calls | tr '\n' ' ')
	[ "${ranks% }" = "$1" ] || fail "attempts on $ranks ranks where $1 were expected"
}

expect_gone() { # PID
	! grep -qsE '^State:	[^ZX]' "/proc/$1/status" || fail "process $1 lives on"
}

make_data data
run --data data --model-dir all --hidden-units 8 --max-steps 9 --batch-size 24 --save-checkpoints-steps 1 --keep-checkpoint-max 0
expect_exit 0
rm -f mpirun.log

# Mistakes are found before anything is started; nothing is touched.
keep_tree
refused 64 "give the number of ranks, -np N" launch
refused 64 "give the number of ranks, -np N" launch --max-restarts 2 -- --epochs 3
refused 64 "launch: '--bogus' is no option of it" launch -np 2 --bogus 3
refused 64 "launch: '--epochs' is no option of it (ftmpi launch --help lists them); options of the training come after '--'" launch -np 2 --epochs 3
refused 64 "launch: 'train' is no option of it" launch -np 2 train
refused 64 "--np: 'two' is not a whole number" launch -np two
refused 64 "--np: 0 is out of range" launch -n 0
refused 64 "--np needs a value" launch -np
refused 64 "--np needs a value" launch -np -- --epochs 3
refused 64 "--min-np 3 is more than -np 2" launch -np 2 --min-np 3
refused 64 "--nnodes and -np cannot both be given" launch -np 2 --nnodes 1:2
refused 64 "--nnodes and --min-np cannot both be given" launch --min-np 2 --nnodes 1:2
for nodes in x 0 2:1 1: :2 1:2:3 -1 1:99999; do
	refused 64 "--nnodes: '$nodes' is not MIN:MAX" launch --nnodes "$nodes"
done
refused 64 "more than 65536 ranks" launch --nnodes 1:65536 --nproc-per-node 2
refused 64 "--max-restarts: -1 is out of range" launch -np 2 --max-restarts=-1
refused 64 "--backoff-secs: 'soon' is not a number" launch -np 2 --backoff_secs soon
refused 64 "unknown option --bogus" launch -np 2 -- --bogus 3
refused 64 "--batch-size: 'x' is not a whole number" launch -np 2 -- train --batch-size x
refused 64 "--steps counts from where each start begins" launch -np 2 -- --steps 5
refused 64 "--chaos: 'often' is not NAME=VALUE" launch -np 2 --chaos often
refused 64 "--chaos: 'sead' is none of seed, mtbf, modes, stall, reference" launch -np 2 --chaos sead=1
refused 64 "--chaos seed: 'x' is not a whole number" launch -np 2 --chaos seed=x
refused 64 "--chaos mtbf: 0 is out of range" launch -np 2 --chaos mtbf=0
refused 64 "--chaos: there is no mode 'quake'" launch -np 2 --chaos modes=kill+quake
refused 64 "--chaos: modes=np names no kind of fault" launch -np 2 --chaos modes=np
refused 64 "--chaos needs restarts" launch -np 2 --max-restarts 0 --chaos seed=1
refused 64 "is the folder of the training itself" launch -np 2 --chaos reference=run -- --model-dir run
refused 66 "cannot run '/nowhere/mpirun': No such file or directory" launch -np 2 --mpirun /nowhere/mpirun -- --model-dir run
refused_on 1 64 "launch starts mpirun itself: run it without" launch -np 2
looks launch --help
expect_stdout "usage: ftmpi launch -np N [OPTIONS] -- [OPTIONS OF THE TRAINING]"
awk 'length > 120 { print; wide = 1 } END { exit wide }' "$last.out" || fail "a line is longer than 120 columns"
for option in np min-np nnodes nproc-per-node max-restarts backoff-secs mpirun mpirun-args chaos; do
	expect_stdout "  --$option "
done
for kind in kill stop segv double mpirun recovery disk np; do
	expect_stdout "    $kind  "
done
looks launch --version
looks launch -np 2 -- --help

# What is run.
expect_call() { # ARGUMENTS
	expect_exit 0
	[ "$(cat calls)" = "$1" ] || fail "mpirun was given: $(cat calls)"
}
acts <<<'exit 0'
run launch -np 3 --mpirun "$standin --first x" --mpirun-args "--bind-to  none" -- --epochs 2 --model-dir=run
expect_call "--first x -n 3 --bind-to none $program train --epochs 2 --model-dir=run --logical-workers=3"
acts <<<'exit 0'
launch --np=2 -- train --logical-workers 6
expect_call "-n 2 $program train --logical-workers 6 --model-dir run"
acts <<<'exit 0'
launch --nnodes 1:2 --nproc_per_node 3 --
expect_call "-n 6 $program train --model-dir run --logical-workers=6"
acts <<<'exit 0'
launch --nnodes=2 --nproc-per-node=2 --max_restarts 1 --
expect_call "-n 4 $program train --model-dir run --logical-workers=4"
# A run that is under way has its number of workers, whatever that is.
acts <<<'exit 0'
cp all/ckpt-3.weights.h5 run/
launch -np 2 --
expect_call "-n 2 $program train --model-dir run"

# Output passes through; there is no input.
acts <<<'echo to standard output; echo to standard error >&2; cat; exit 0'
launch -np 2 --
expect_exit 0
expect_stdout "to standard output"
expect_stderr "to standard error"
[ "$(cat "$last.err")" = "to standard error" ] || fail "something was added on standard error"

# Codes that another attempt would only meet again are passed on.
for code in 64 65 66 74 76; do
	acts <<<"exit $code"
	launch -np 2 --
	expect_exit "$code"
	expect_calls 1
	[ ! -s "$last.err" ] || fail "there is something on standard error"
done

# mpirun's own refusal is: its words come first.
acts <<<'echo "mpirun: there is a reason" >&2; exit 1'
launch -np 2 --
expect_exit 1
expect_calls 1
expect_stderr "mpirun: there is a reason"
expect_one_error_line "no rank ran: mpirun ended with exit code 1, and says above why"

# Death and 'stopped after saving' are not: by a rank's signal, mpirun's own, MPI's error. Then it counts what comes without progress.
for act in 'exit 75' 'exit 137' 'exit 139' 'exit 70' 'kill -KILL $$' 'kill -SEGV $$'; do
	acts <<<"$act"$'\nexit 0'
	launch -np 2 --
	expect_exit 0
	expect_calls 2
	expect_warning "starting again in 0.01 s (restart 1 of at most 3 without a new checkpoint)"
	expect_stdout "2 attempts; restarts: 0 after a new checkpoint, 1 without"
done
acts <<<$'exit 137\nexit 139\nexit 75\nkill -KILL $$'
launch -np 2 --max-restarts 3 --
expect_exit 137
expect_calls 4
for wait in 0.01 0.02 0.04; do expect_stderr "starting again in $wait s"; done
expect_one_error_line "gave up after 4 attempts (too many without a new checkpoint): the last one lost mpirun by signal 9 (Killed)"
expect_stdout_line '^ +1 +2 +- +- +[0-9.]+  died by signal 9 \(Killed\)$'
expect_stdout_line '^ +2 +2 +- +- +[0-9.]+  died by signal 11 \(Segmentation fault\)$'
expect_stdout_line '^ +3 +2 +- +- +[0-9.]+  stopped after saving \(exit code 75\)$'
acts <<<$'exit 75\nexit 75\nexit 75'
launch -np 2 --max-restarts 1 --
expect_exit 75
expect_calls 2
acts <<<$'cp all/ckpt-3.weights.h5 run/; exit 75'
launch -np 2 --max-restarts 0 --
expect_exit 75
expect_calls 1

# Progress is free, and the count begins anew after it. mpirun's own codes are deaths once there was any.
{
	for step in 1 2 3 4; do printf 'exit 137\ncp all/ckpt-%d.weights.h5 run/; exit 1\n' "$step"; done
	echo "exit 0"
} | acts
launch -np 2 --max-restarts 1 --
expect_exit 0
expect_calls 9
expect_stdout "9 attempts; restarts: 4 after a new checkpoint, 4 without"
expect_stdout_line '^ +8 +2 +3 +4 +[0-9.]+  ended with exit code 1$'
expect_stderr "starting again in 0.01 s (a restart after a new checkpoint)"

# Fewer ranks where there are not enough slots; that is no restart. At the least, it is.
slots='echo "There are not enough slots available in the system to satisfy the request" >&2; exit 1'
acts <<<"$slots"$'\n'"$slots"$'\nexit 137\nexit 0'
launch -np 4 --min-np 2 --
expect_exit 0
expect_ranks "4 3 2 2"
expect_stderr "not enough slots for 4 ranks: trying 3"
expect_stdout "restarts: 0 after a new checkpoint, 1 without"
acts < <(for i in 1 2 3 4 5 6; do echo "$slots"; done)
launch --nnodes 1:3 --nproc-per-node 2 --max-restarts 2 --
expect_exit 1
expect_ranks "6 4 2 2 2"
acts <<<"$slots"$'\n'"$slots"
launch -np 4 --max-restarts 1 --
expect_exit 1
expect_ranks "4 4"
expect_one_error_line "the last one found not enough slots"
# A lost node takes its ranks with it.
acts <<<$'cp all/ckpt-1.weights.h5 run/; echo "ORTE has lost communication with a remote daemon" >&2; exit 205\nexit 205\nexit 0'
launch --nnodes 2:3 --nproc-per-node 2 --
expect_exit 0
expect_ranks "6 4 4"
expect_stderr "a node was lost: going on with 4 ranks"

# Two deaths at the same checkpoint: back to the one before. When that helps, the suspect stays aside.
both='cp all/ckpt-3.weights.h5 all/ckpt-6.weights.h5 run/; exit 137'
acts <<<"$both"$'\nexit 137\nexit 137\ncp all/ckpt-7.weights.h5 run/; exit 137\nexit 0'
launch -np 2 --
expect_exit 0
expect_calls 5
expect_stderr "it died 2 times at checkpoint 6: that is set aside as .suspect, going back to the one before"
expect_stdout_line '^ +4 +2 +3 +7 '
[ -e run/ckpt-6.weights.h5.suspect ] || fail "checkpoint 6 is not set aside"
run checkpoints list run
expect_stdout "1 set aside as .suspect"
# When it does not help, it has its name again at the end; coming to the same step again is no progress.
acts <<<"$both"$'\nexit 137\nexit 137\nexit 137\nexit 137\nexit 0'
launch -np 2 --
expect_exit 137
expect_calls 5
expect_stderr "going back did not help: checkpoint 6 has its name again"
run checkpoints verify run
expect_exit 0
expect_stdout "good  run/ckpt-6.weights.h5"
acts <<<"$both"$'\nexit 137\nexit 137\ncp all/ckpt-6.weights.h5 run/; exit 137\nexit 137\nexit 0'
launch -np 2 --
expect_exit 137
expect_calls 5
for suffix in "" .suspect; do
	[ -e "run/ckpt-6.weights.h5$suffix" ] || fail "ckpt-6.weights.h5$suffix should be there"
done
# Nothing to go back to; and stops after saving are no deaths.
acts <<<$'cp all/ckpt-6.weights.h5 run/; exit 137\nexit 137\nexit 137\nexit 0'
launch -np 2 --
expect_exit 0
expect_stderr "cannot go back: 'run' has no older good checkpoint to go back to"
acts <<<"$both"$'\nexit 75\nexit 75\nexit 75\nexit 0'
launch -np 2 --
expect_exit 0
expect_no_stderr "suspect"

# The end of time: a stop that comes near it is not gone on from, another one is, with the time that is left; a death is anyway.
acts <<<$'exit 75\nexit 0'
launch -np 2 -- --max-wall-time 100
expect_exit 75
expect_calls 1
expect_warning "time ends: not started again"
acts <<<$'exit 75\nexit 137\nexit 0'
launch -np 2 -- --max-wall-time 1:00:00
expect_exit 0
expect_calls 3
! sed -n 1p calls | grep -q -- "--max-wall-time=" || fail "the first attempt was: $(sed -n 1p calls)"
for i in 2 3; do
	sed -n "${i}p" calls | grep -qE -- ' --max-wall-time=3[0-9]{3}$' || fail "attempt $i was: $(sed -n "${i}p" calls)"
done
acts <<<$'exit 137\nexit 75\nexit 0'
SLURM_JOB_END_TIME=$(($(date +%s) + 100)) launch -np 2 --
expect_exit 75
expect_calls 2

# What an attempt leaves behind is killed before the next one.
acts <<<$'sleep 1000 & echo $! >left; setsid sleep 1000 & echo $! >>left; exit 137\nexit 0'
launch -np 2 --
expect_exit 0
while read -r pid; do expect_gone "$pid"; done <left
# What the launcher did not start lives on: a child of the shell that became it.
acts <<<'exit 0'
(
	sleep 1000 >other.out 2>&1 &
	echo $! >other
	exec "$program" launch -np 2 --mpirun "$standin" -- --model-dir run
) || fail "launch ended with $?"
grep -qsE '^State:	[^ZX]' "/proc/$(cat other)/status" || fail "a process of others was killed"
kill "$(cat other)"

# Signals.
start_standin() { # ACT: waits until it has begun
	acts <<<"$1"
	rm -f begun
	start_launch --mpirun "$standin" --backoff-secs 0.01 -np 2 -- --model-dir run
	until_true test -e begun
}
waits='touch begun; while :; do sleep 0.05; done'
start_standin "trap 'echo USR1 came' USR1; trap 'echo USR2 came; exit 75' USR2; $waits"
kill -USR1 "$launch_pid"
until_true grep -qx "USR1 came" "$last.out"
kill -USR2 "$launch_pid"
wait_launch
expect_exit 75
expect_stdout "USR2 came"
expect_calls 1
for name in TERM INT; do
	start_standin "trap 'echo came; exit 75' $name; $waits"
	kill "-$name" "$launch_pid"
	wait_launch
	expect_exit 75
	expect_stdout came
	start_standin "trap 'exit 1' $name; $waits" # as mpirun does
	kill "-$name" "$launch_pid"
	wait_launch
	expect_exit $((128 + $(kill -l "$name")))
	expect_calls 1
done
start_standin "trap 'exit 0' TERM; $waits"
kill -TERM "$launch_pid"
wait_launch
expect_exit 0
# A second one ends it at once.
start_standin "trap 'echo first' TERM; sleep 1000 & echo \$! >left; $waits"
kill -TERM "$launch_pid"
until_true grep -qx first "$last.out"
kill -INT "$launch_pid"
wait_launch
expect_exit 130
expect_gone "$(cat left)"
# During the wait before a restart.
acts <<<$'exit 137\nexit 0'
start_launch --mpirun "$standin" --backoff-secs 1000 -np 2 -- --model-dir run
until_true grep -q "starting again in 1000 s" "$last.err"
kill -TERM "$launch_pid"
wait_launch
expect_exit 143
expect_calls 1
# The launcher itself is killed: mpirun is told to end.
start_standin "trap 'touch told; exit' TERM; $waits"
kill -KILL "$launch_pid"
until_true test -e told
wait_launch
expect_exit 137

# In chaos the number of ranks changes, and what does not come to an end is not compared.
acts <<<'exit 0'
mkdir reference
cp all/ckpt-9.weights.h5 reference/
rm -rf calls
cat >acts <<<$'exit 0\nexit 65'
launch -np 2 --chaos seed=1,reference=reference --
expect_exit 65
expect_calls 2
sed -n 1p calls | grep -qx -- "-n 2 $program train --model-dir run --model-dir=reference" || fail "the reference was: $(sed -n 1p calls)"
sed -n 2p calls | grep -qx -- "-n 2 $program train --model-dir run --logical-workers=2 --progress=log --log-step-count-steps=1" || fail "chaos was: $(sed -n 2p calls)"
expect_stdout '"exit_code":65,"bits_equal":null'
# Another end than the reference's is an error.
cat >acts <<<$'exit 0\ncp all/ckpt-8.weights.h5 run/; exit 0'
rm calls
launch -np 2 --chaos seed=1,reference=reference --
expect_exit 65
expect_stdout "chaos: the end is NOT that of the uninterrupted run"
expect_stdout '"bits_equal":false'
expect_one_error_line "chaos: run/ckpt-8.weights.h5 and reference/ckpt-9.weights.h5 differ"
cat >acts <<<$'exit 0\ncp all/ckpt-9.weights.h5 run/; exit 0'
rm calls
launch -np 2 --chaos seed=1,reference=reference --
expect_exit 0
expect_stdout '"bits_equal":true'
