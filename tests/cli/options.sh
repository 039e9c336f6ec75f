#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Bad command lines: each is one line that names the option and what is wrong with it, exit code 64, and nothing is made.
set -euo pipefail
# shellcheck source=cli.sh
. "$(dirname "$0")/cli.sh"

make_data data
keep_tree

train=(--data data --model-dir run "${small[@]}")

bad() { # TEXT ARG…
	local text=$1
	shift
	refused 64 "$text" "${train[@]}" "$@"
}

# Commands and words that are not options.
refused 64 "there is no command 'bogus' (ftmpi --help lists them)" bogus
refused_on 3 64 "there is no command 'bogus'" bogus
refused 64 "there is no command 'Train'" Train --data data
bad "unknown option --bogus (--help lists the options)" --bogus
bad "unknown option --bogus" --bogus=1
bad "unknown option --batchsize" --batchsize 32
bad "unknown option --batch" --batch 32
bad "unknown option --Batch-Size" --Batch-Size 32
bad "'-x' is not an option" -x
bad "'word' is not an option" word
bad "'' is not an option" ""
bad "'--' is not an option" --
refused_on 3 64 "unknown option --bogus" "${train[@]}" --bogus
refused 64 "--batch-size is not an option of this command" evaluate --data data --batch-size 4
refused 64 "--checkpoint is not an option of this command" train --data data --checkpoint x
refused 64 "--output is not an option of this command" evaluate --data data --output x

# No value.
for option in batch-size learning-rate seed data model-dir optimizer hidden-units config; do
	bad "--$option needs a value" --$option
done

# Whole numbers.
for option in batch-size epochs max-steps steps classes save-checkpoints-steps save-checkpoints-epochs log-step-count-steps logical-workers; do
	bad "--$option: 0 is out of range" --$option 0
done
for value in "" " " x 0x10 12x "1 2" 1.5 1e2 nan " 8" "8 " "8," --shuffle; do
	bad "--batch-size: '$value' is not a whole number" --batch-size "$value"
done
for value in -1 -0 2147483648 9223372036854775807 9223372036854775808 99999999999999999999999999; do
	bad "--batch-size: $value is out of range: it must be 1 to 2147483647" "--batch-size=$value"
done
bad "--classes: 1 is out of range" --classes 1
bad "--keep-checkpoint-max: -1 is out of range" --keep-checkpoint-max -1
bad "--save-summary-steps: -1 is out of range" --save-summary-steps -1
bad "--max-steps: 99999999999999999999 is out of range" --max-steps 99999999999999999999
bad "--logical-workers: 65537 is out of range" --logical-workers 65537
bad "--epochs: 'ten' is not a whole number" --epochs ten
for value in "" -1 +1 18446744073709551616 0x1 1.0 "1 "; do
	bad "--seed: '$value' is not a whole number from 0 to 18446744073709551615" --seed "$value"
done

# Numbers.
for value in "" x nan NAN inf -inf infinity 1e400 0.1x "0.1 " 1,5 0x10 0x1p-4 " 0.1"; do
	bad "--learning-rate: '$value' is not a number" --learning-rate "$value"
done
bad "--learning-rate: 0 is out of range: it must be above 0" --learning-rate 0
bad "--learning-rate: 1e-400 is out of range" --learning-rate 1e-400
bad "--learning-rate: -0.1 is out of range" --learning-rate -0.1
bad "--learning-rate: 1e7 is out of range" --learning-rate 1e7
bad "--dropout: 1 is out of range: it must be at least 0 and at most 0.999" --dropout 1
bad "--dropout: -0.1 is out of range" --dropout -0.1
bad "--beta-1: 1 is out of range" --beta-1 1
bad "--epsilon: 0 is out of range" --epsilon 0
bad "--save-checkpoints-secs: 0 is out of range" --save-checkpoints-secs 0
bad "--checkpoint-interval: '5' is none of auto" --checkpoint-interval 5
for value in 0 0% -1% 1.01 101% 1e-400; do
	bad "--checkpoint-overhead: $value is out of range: it must be above 0% and at most 100%" --checkpoint-interval auto --checkpoint-overhead "$value"
done
for value in "" % 1%% %1 x "1 %" nan 1,5%; do
	bad "--checkpoint-overhead: '$value' is neither a number nor a percentage" --checkpoint-interval auto --checkpoint-overhead "$value"
done
bad "--keep-checkpoint-every-n-hours: 0 is out of range" --keep-checkpoint-every-n-hours 0
bad "--lock-wait-secs: -1 is out of range" --lock-wait-secs -1
bad "--input-scale: -1 is out of range" --input-scale -1
bad "--weight-decay: 'nan' is not a number" --weight-decay nan
# What a float32 cannot hold is found before anything is made, too.
bad "learning" --learning-rate 1e-40
bad "beta" --beta-1 0.99999999
bad "epsilon" --epsilon 1e-50

# Hangs, copies, divergence.
bad "--hang-timeout: -1 is out of range" --hang-timeout -1
bad "--hang-timeout: 'auto' is not a number" --hang-timeout auto
bad "--check-replicas-steps: -1 is out of range" --check-replicas-steps -1
bad "--spike-factor: 1 is out of range: it must be above 1" --spike-factor 1
bad "--max-rollbacks: 0 is out of range" --max-rollbacks 0
bad "--max-rollbacks: 31 is out of range" --max-rollbacks 31
bad "--on-divergence: 'go-on' is none of stop|rollback" --on-divergence go-on

# Choices, flags, texts.
bad "--optimizer: 'SGD' is none of sgd|adam|adamw|rmsprop|adagrad|nadam|lion" --optimizer SGD
for option in optimizer=adam\|adamw activation=relu\|sigmoid loss-reduction=mean\|sum progress=bar\|lines; do
	bad "--${option%=*}: '${option#*=}' is none of" "--$option"
done
bad "--optimizer: 'ada' is none of" --optimizer ada
bad "--optimizer: '' is none of" --optimizer ""
bad "--activation: 'swish' is none of linear|relu|sigmoid|tanh|gelu|softmax" --activation swish
bad "--loss-reduction: 'none' is none of mean|sum" --loss-reduction none
bad "--progress: 'verbose' is none of auto|bar|lines|log" --progress verbose
bad "--shuffle: 'maybe' is neither true nor false" --shuffle=maybe
bad "--shuffle: '' is neither true nor false" --shuffle=
bad "'false' is not an option" --shuffle false
bad "unknown option --no-shuffle" --no-shuffle=true
bad "unknown option --no-no-shuffle" --no-no-shuffle
bad "unknown option --no-batch-size" --no-batch-size
bad "--model-dir: is empty" --model-dir ""
bad "--data: is empty" --data=
bad "--model-dir: the value is too long" --model-dir "$(printf 'x%.0s' {1..1100})"
bad "--model-dir: the value is too long or has a line break in it" --model-dir $'a\nb'

# Lists.
for value in "," "8," ",8" "8,,4" "8,x" "8;4" "8 4" "8, 4" none,8 NONE 0x8 8,0 -8 16777217 8,99999999999999999999 ""; do
	bad "--hidden-units: '$value' is not a list of whole numbers from 1 to 16777216" --hidden-units "$value"
done
bad "--hidden-units: more than 128 hidden layers" --hidden-units "$(seq -s, 1 129)"

# Options that exclude one another, or that the optimizer does not have.
bad "--max-steps and --steps cannot both be given" --max-steps 5 --steps 5
bad "--save-checkpoints-steps and --save-checkpoints-secs cannot both be given" --save-checkpoints-secs 5 --save-checkpoints-steps 5
bad "--save-checkpoints-steps and --save-checkpoints-epochs cannot both be given" --save-checkpoints-steps 5 --save-checkpoints-epochs 1
bad "--save-checkpoints-secs and --save-checkpoints-epochs cannot both be given" --save-checkpoints-secs 5 --save-checkpoints-epochs 1
bad "--save-checkpoints-steps and --checkpoint-interval cannot both be given" --save-checkpoints-steps 5 --checkpoint-interval auto
bad "--save-checkpoints-secs and --checkpoint-interval cannot both be given" --checkpoint-interval auto --save-checkpoints-secs 5
bad "--save-checkpoints-epochs and --checkpoint-interval cannot both be given" --checkpoint-interval auto --save-checkpoints-epochs 1
bad "--checkpoint-overhead means nothing without --checkpoint-interval auto" --checkpoint-overhead 2%
bad "--checkpoint-overhead means nothing without --checkpoint-interval auto" --save-checkpoints-secs 5 --checkpoint-overhead 2%
bad "--momentum means nothing to --optimizer adam (sgd|rmsprop)" --momentum 0.9
bad "--nesterov means nothing to --optimizer adam (sgd)" --nesterov
bad "--beta-1 means nothing to --optimizer sgd (adam|adamw|nadam|lion)" --optimizer sgd --beta-1 0.5
bad "--beta-2 means nothing to --optimizer adagrad" --beta-2 0.5 --optimizer adagrad
bad "--rho means nothing to --optimizer adamw (rmsprop)" --optimizer adamw --rho 0.5
bad "--centered means nothing to --optimizer adagrad (rmsprop)" --optimizer adagrad --centered
bad "--epsilon means nothing to --optimizer sgd (adam|adamw|rmsprop|adagrad|nadam)" --optimizer sgd --epsilon 1e-3
bad "--epsilon means nothing to --optimizer lion" --optimizer lion --epsilon 1e-3
bad "--initial-accumulator means nothing to --optimizer sgd (adagrad)" --optimizer sgd --initial-accumulator 0.1
bad "--nesterov needs --momentum above 0" --optimizer sgd --nesterov
bad "--nesterov needs --momentum above 0" --optimizer sgd --nesterov --momentum 0

# A run that is under way refuses what would change its mathematics, and stays as it is.
good "${train[@]}"
keep_tree
bad "--batch-size was 32 when this run began and is 16 now, which would change the result; give --batch-size 32, or another --model-dir" --batch-size 16
bad "--shuffle was true when this run began and is false now" --no-shuffle
bad "--optimizer was adam when this run began and is sgd now" --optimizer sgd
bad "--learning-rate was 0.001 when this run began and is 0.002 now" --learning-rate 2e-3
bad "--hidden-units was 8 when this run began and is 8,8 now" --hidden-units 8,8
bad "--seed was 1 when this run began and is 2 now" --seed 2
bad "--logical-workers was 1 when this run began and is 2 now" --logical-workers 2
refused_on 2 64 "--dropout was 0.2 when this run began and is 0 now" "${train[@]}" --dropout 0
good "${train[@]}" --learning-rate 1e-3 --seed 01 --epochs 3 --keep-checkpoint-max 3 --log-step-count-steps 7 --save-summary-steps 7
