#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: fuzz.sh TARGET MKDATA DRIVER: build a libFuzzer target, make its first inputs with the real writers, and run it: a fixed number of runs,
# the same each time, or for FTMPI_FUZZ_SECONDS where that is set. Nothing may crash, leak, run long, or allocate more than a small file warrants.
# What is found is kept in the current directory.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

target=$1
mkdata=$2
driver=$3
limit_mb=16
leaks=1
max_bytes=16384
case $target in
checkpoint | state) runs=30000 ;;
idx) runs=10000 ;;
hdf5) # its library asks for absurd lengths, bears that it does not get them, and keeps memory of files that it refuses itself
	runs=1000 leaks=0 limit_mb=1000000000
	export ASAN_OPTIONS=${ASAN_OPTIONS:-}:allocator_may_return_null=1:max_allocation_size_mb=64:detect_leaks=0
	;;
keras) # weights of a real model are longer than what the others are fed
	runs=10000 max_bytes=65536
	;;
config) runs=5000 ;;
*) fail "no target '$target'" ;;
esac
length=(-runs="$runs" -seed=1)
if [ -n "${FTMPI_FUZZ_SECONDS:-}" ]; then
	length=(-max_total_time="$FTMPI_FUZZ_SECONDS")
	[ "$target" != hdf5 ] || length+=(-fork=1 -ignore_ooms=0 -ignore_timeouts=0) # what the library keeps slows it down: a new process every few seconds
fi

need clang ninja
echo 'int LLVMFuzzerTestOneInput(const unsigned char *d, unsigned long n) { return d[0] > n; }' >probe.c
clang -fsanitize=fuzzer,address -o probe probe.c >probe.log 2>&1 || skip "clang has no libFuzzer (libclang-rt-14-dev)"
exec 9>"$build_dir/fuzz.lock"
flock 9 # several targets may be started at once
(cd "$source_dir" && cmake --preset fuzz -B "$build_dir/fuzz" -DFTMPI_TESTS=ON) >build.log 2>&1 || fail "$(cat build.log)"
cmake --build "$build_dir/fuzz" -j "$jobs" --target "fuzz_$target" >build.log 2>&1 || fail "$(cat build.log)"
exec 9>&-

# One file of a folder of IDX files: a byte that says gzipped, two for the length of the first, both files.
pack_idx() { # FOLDER SUFFIX GZIPPED
	local n
	n=$(stat -c %s "$1/train-images-idx3-ubyte$2")
	printf '%b' "\\x0$3\\x$(printf %02x $((n % 256)))\\x$(printf %02x $((n / 256)))"
	cat "$1/train-images-idx3-ubyte$2" "$1/train-labels-idx1-ubyte$2"
}

mkdir -p corpus
case $target in
checkpoint | state)
	"$driver" life 2>/dev/null
	[ "$target" = state ] || cp life/ckpt-{3,20}.weights.h5 corpus
	[ "$target" = checkpoint ] || cp life/checkpoint corpus
	;;
idx)
	for dtype in u8 i16 f32 f64; do
		"$mkdata" idx "plain-$dtype" --train 3 --test 0 --shape 2x2 --dtype "$dtype"
		pack_idx "plain-$dtype" "" 0 >"corpus/$dtype"
	done
	"$mkdata" idx zipped --train 3 --test 0 --shape 2x2 --gzip
	pack_idx zipped .gz 1 >corpus/zipped
	;;
hdf5)
	for dtype in u8 i16 f32; do
		"$mkdata" hdf5 "corpus/$dtype.h5" --train 3 --test 2 --shape 2x2 --dtype "$dtype"
	done
	"$mkdata" hdf5 corpus/zipped.h5 --train 3 --test 2 --shape 2x2 --gzip
	;;
keras)
	need python3
	python3 - "$source_dir/tests/keras" corpus <<'EOF'
import io, pathlib, struct, sys, zipfile
source, corpus = map(pathlib.Path, sys.argv[1:])
for file in sorted([*source.glob("*.json"), *source.glob("*.keras")]):
    (corpus / file.name).write_bytes(b"\0" + file.read_bytes())
for file in sorted(source.glob("*.keras")):
    archive = zipfile.ZipFile(file)
    config, weights = archive.read("config.json"), archive.read("model.weights.h5")
    (corpus / (file.stem + ".parts")).write_bytes(b"\1" + len(config).to_bytes(2, "little") + config + weights)

# An archive that claims 3.9 GB of weights, for a model that would have as many.
claims = io.BytesIO()
with zipfile.ZipFile(claims, "w", zipfile.ZIP_DEFLATED) as archive:
    archive.writestr("config.json", (source / "sequential.json").read_text().replace('"units": 5', '"units": 400000000'))
    archive.writestr("model.weights.h5", bytes(1000))
claims = bytearray(claims.getvalue())
struct.pack_into("<I", claims, claims.rindex(b"PK\1\2") + 24, 3900000000)
struct.pack_into("<I", claims, claims.rindex(b"PK\3\4") + 22, 3900000000)
(corpus / "claims").write_bytes(b"\0" + claims)
EOF
	;;
config)
	printf '# a comment\nbatch-size = 32\nhidden-units = 256,32\noptimizer = sgd\nmomentum = 0.9\nshuffle = false\n' >corpus/options
	printf 'learning-rate=1e-3\r\n\tmodel-dir = a b\nepochs = 3\nseed = 18446744073709551615\n' >corpus/blanks
	;;
esac

# Open MPI keeps what it took at its start. The target writes its files where it runs: in memory where there is such a place.
export LSAN_OPTIONS=suppressions=$source_dir/tests/lsan.supp:print_suppressions=0
kept=$PWD
work=$(mktemp -d /dev/shm/ftmpi.XXXXXX 2>/dev/null || mktemp -d "$kept/work.XXXXXX")
code=0
(cd "$work" && "$build_dir/fuzz/tests/fuzz/fuzz_$target" "${length[@]}" -max_len=$max_bytes -timeout=60 -malloc_limit_mb=$limit_mb \
	-rss_limit_mb=1024 -detect_leaks=$leaks -print_final_stats=1 -verbosity=0 -artifact_prefix="$kept/" "$kept/corpus") >fuzz.log 2>&1 || code=$?
rm -rf "$work"
grep -E '^stat::(number_of_executed_units|new_units_added|peak_rss_mb)' fuzz.log || grep '^#' fuzz.log | tail -n 1 || true
[ "$code" = 0 ] || fail "$(tail -n 60 fuzz.log)"
