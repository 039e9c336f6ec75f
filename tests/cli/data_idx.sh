#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Bad IDX data: each fault is one line that names the file and what is wrong with it, and nothing is made.
set -euo pipefail
# shellcheck source=cli.sh
. "$(dirname "$0")/cli.sh"

make_data data
make_data packed --gzip
make_data floats --dtype f32
make_data other --shape 8x7
images=train-images-idx3-ubyte
labels=train-labels-idx1-ubyte

# A copy of a data set with a fault, made by CHANGE in that folder; then training refuses it.
bad() { # FROM CODE TEXT CHANGE…
	local from=$1 code=$2 text=$3
	shift 3
	rm -rf bad
	cp -r "$from" bad
	(cd bad && "$@")
	keep_tree
	refused "$code" "$text" --data bad --model-dir run "${small[@]}"
}

with_text() { # FILE TEXT
	printf '%s' "$2" >"$1"
}

append() { # FILE TEXT
	printf '%s' "$2" >>"$1"
}

repack() { # FILE COMMAND…: change the content of a gzipped file
	local file=$1
	shift
	gunzip "$file.gz"
	"$@"
	gzip -n "$file"
}

fewer_labels() {
	patch_bytes $labels 4 00 00 00 ca
	truncate -s -1 $labels
}

keep_tree
refused 66 "nowhere: No such file or directory" --data nowhere --model-dir run "${small[@]}"
refused_on 3 66 "nowhere: No such file or directory" --data nowhere --model-dir run "${small[@]}"
refused 66 "data/$images/more: Not a directory" --data data/$images/more --model-dir run "${small[@]}"
refused 65 "data/$images: neither a folder with IDX files nor an HDF5 file" --data data/$images --model-dir run "${small[@]}"
refused 65 "/dev/null: neither a folder with IDX files nor an HDF5 file" --data /dev/null --model-dir run "${small[@]}"

bad data 66 "bad: no $images and $labels (plain or .gz)" rm -f $images $labels t10k-images-idx3-ubyte t10k-labels-idx1-ubyte
bad data 66 "bad: no $images and $labels (plain or .gz)" rm $images $labels
bad data 66 "bad: has $images, but no train-labels-idx1-ubyte" rm $labels
bad data 66 "bad: has $labels, but no train-images-idx3-ubyte" rm $images
bad data 66 "bad: has t10k-images-idx3-ubyte, but no t10k-labels-idx1-ubyte" rm t10k-labels-idx1-ubyte
bad data 66 "bad: has $labels, but no train-images-idx3-ubyte" ln -sf nowhere $images
bad data 65 "bad/$labels: not a regular file" sh -c "rm $labels && mkdir $labels"

# 203 samples of 8 × 8: 13008 bytes with the header; labels: 211
bad data 65 "bad/$images: is 13007 bytes long, but its header stands for 13008" truncate -s -1 $images
bad data 65 "bad/$images: is 13009 bytes long, but its header stands for 13008" append $images x
bad data 65 "bad/$labels: is 210 bytes long, but its header stands for 211" truncate -s -1 $labels
bad data 65 "bad/t10k-images-idx3-ubyte: is 100 bytes long" truncate -s 100 t10k-images-idx3-ubyte
bad data 65 "bad/t10k-labels-idx1-ubyte: is 70 bytes long" append t10k-labels-idx1-ubyte x
bad data 65 "bad/$images: truncated: ends at byte 9 of its content" truncate -s 9 $images
bad data 65 "bad/$images: truncated: ends at byte 0 of its content" truncate -s 0 $images
bad data 65 "bad/$images: not an IDX file: begins with 50 4b 03 04" patch_bytes $images 0 50 4b 03 04
bad data 65 "bad/$images: not an IDX file: begins with 00 00 0a 03" patch_bytes $images 2 0a
bad data 65 "bad/$images: has 0 dimensions; 1 to 8 are possible" patch_bytes $images 3 00
bad data 65 "bad/$images: has 9 dimensions; 1 to 8 are possible" patch_bytes $images 3 09
bad data 65 "bad/$images: holds no samples: dimension 0 is 0" patch_bytes $images 4 00 00 00 00
bad data 65 "bad/$images: holds no samples: dimension 2 is 0" patch_bytes $images 12 00 00 00 00
bad data 65 "bad/$images: dimensions of the header do not fit any file" patch_bytes $images 4 ff ff ff ff ff ff ff ff ff ff ff ff
bad data 65 "bad/$images: is 13008 bytes long, but its header stands for 274877906896" patch_bytes $images 4 ff ff ff ff
bad data 65 "bad/$labels: has 202 labels, but bad/$images has 203 images" fewer_labels
bad data 65 "bad/$labels: label 10 of sample 7 is outside 0 to 9; --classes, or the outputs of --model, set the number of classes" patch_bytes $labels 15 0a
bad data 65 "bad/t10k-labels-idx1-ubyte: label 255 of sample 60 is outside 0 to 9; --classes" patch_bytes t10k-labels-idx1-ubyte 68 ff
bad data 65 "bad/$labels: labels must be one-dimensional whole numbers; these have type 08 and 2 dimensions" \
	sh -c "printf '\\0\\0\\10\\2\\0\\0\\0\\313\\0\\0\\0\\1' >head && tail -c +9 $labels >>head && mv head $labels"
bad data 65 "bad/$labels: labels must be one-dimensional whole numbers; these have type 0d and 1 dimensions" \
	sh -c "printf '\\0\\0\\15\\1\\0\\0\\0\\313' >head && head -c 812 /dev/zero >>head && mv head $labels"
bad data 65 "bad/$images: samples have shape 8x8, but those of bad/t10k-images-idx3-ubyte have 8x7" cp ../other/t10k-images-idx3-ubyte .
bad data 65 "8-bit unsigned" cp ../floats/t10k-images-idx3-ubyte .

bad packed 65 "bad/$images.gz: truncated gzip data" truncate -s -100 $images.gz
bad packed 65 "bad/$images.gz: truncated gzip data" truncate -s -1 $images.gz
bad packed 65 "bad/$images.gz: damaged gzip data" patch_bytes $images.gz 600 55 aa 55 aa
bad packed 65 "bad/$images.gz: damaged gzip data" append $images.gz "more bytes"
bad packed 65 "bad/$labels.gz: damaged gzip data" with_text $labels.gz "not a gzip file"
bad packed 65 "bad/$images.gz: has more bytes than the 13008 that its header stands for" repack $images append $images x
bad packed 65 "bad/$images.gz: truncated: ends at byte 13007" repack $images truncate -s -1 $images
bad packed 65 "bad/$images.gz: its" repack $images patch_bytes $images 4 ff ff ff ff
bad packed 65 "bad/$labels.gz: label 11 of sample 0 is outside 0 to 9" repack $labels patch_bytes $labels 8 0b

# Sample 2, feature 5 of a file of big-endian floats.
at=$((16 + 4 * (2 * 64 + 5)))
bad floats 65 "bad/$images: input 5 of sample 2 is nan" patch_bytes $images $at 7f c0 00 00
bad floats 65 "bad/$images: input 5 of sample 2 is -inf" patch_bytes $images $at ff 80 00 00
bad floats 65 "input 60 of sample 60 is nan" patch_bytes t10k-images-idx3-ubyte $((16 + 4 * (60 * 64 + 60))) 7f c0 00 01

# Over several ranks it is one line, too; and evaluate finds the same faults.
rm -rf bad
cp -r data bad
patch_bytes bad/$labels 15 0a
good --data data --model-dir run "${small[@]}"
keep_tree
refused_on 3 65 "label 10 of sample 7 is outside 0 to 9" --data bad --model-dir run2 "${small[@]}"
truncate -s -1 bad/t10k-images-idx3-ubyte
keep_tree
refused 65 "bad/t10k-images-idx3-ubyte: is 3919 bytes long" evaluate --data bad --model-dir run
refused_on 2 65 "bad/t10k-images-idx3-ubyte: is 3919 bytes long" predict --data bad --model-dir run
refused 65 "--data other: a sample has 56 numbers, the model of run/ckpt-14.weights.h5 takes 64" evaluate --data other --model-dir run
refused 64 "--data other is not the data of this run" --data other --model-dir run "${small[@]}"

# What may be: labels from 0 to 10 with --classes 11, several gzip members in a file.
rm -rf more
cp -r data more
patch_bytes more/$labels 15 0a
good --data more --model-dir run_more --classes 11 "${small[@]}"
cp -r packed members
gunzip members/$images.gz
{
	head -c 5000 members/$images | gzip
	tail -c +5001 members/$images | gzip
} >members/$images.gz
rm members/$images
good --data members --model-dir run_members "${small[@]}"
expect_identical run run_members
