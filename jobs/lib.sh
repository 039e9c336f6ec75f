# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the scripts share that set a machine up: packages, the build, the environment of mpirun. They source it.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cmake_minimum=3.25
# shellcheck disable=SC2034 # for the scripts
build_packages=(build-essential cmake ninja-build pkg-config openmpi-bin libopenmpi-dev libhdf5-openmpi-dev libopenblas-dev
	libxxhash-dev librandom123-dev zlib1g-dev libprotobuf-c-dev protobuf-c-compiler libisal-dev libjansson-dev libzip-dev)

heading() {
	printf '\n==> %s\n' "$*"
}

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# Run a command and show what it printed only when it fails.
quietly() {
	local log code=0
	log=$(mktemp)
	"$@" >"$log" 2>&1 </dev/null || code=$?
	[ "$code" -eq 0 ] || cat "$log" >&2
	rm -f "$log"
	return "$code"
}

print_requirements() {
	cat <<-'TEXT'
		ftmpi needs, by their names in Debian and, in brackets, in Fedora:
		  C11 compiler           build-essential                 [gcc]
		  CMake >= 3.25, Ninja   cmake ninja-build               [cmake ninja-build]
		  pkg-config             pkg-config                      [pkgconf-pkg-config]
		  MPI                    openmpi-bin libopenmpi-dev      [openmpi-devel]
		  parallel HDF5 >= 1.10  libhdf5-openmpi-dev             [hdf5-openmpi-devel]
		  OpenBLAS               libopenblas-dev                 [openblas-devel]
		  xxHash >= 0.8          libxxhash-dev                   [xxhash-devel]
		  Random123              librandom123-dev                [Random123-devel]
		  zlib                   zlib1g-dev                      [zlib-devel]
		  protobuf-c             libprotobuf-c-dev protobuf-c-compiler
		                                                 [protobuf-c-devel protobuf-c-compiler]
		  ISA-L                  libisal-dev                     [isa-l-devel]
		  Jansson                libjansson-dev                  [jansson-devel]
		  libzip                 libzip-dev                      [libzip-devel]
		  Fashion-MNIST          dataset-fashion-mnist           [its four IDX files in a folder: --data FOLDER]
	TEXT
}

missing_packages() { # PACKAGE…
	local installed package
	installed=$(dpkg-query --show --showformat='${db:Status-Status} ${Package}\n' 2>/dev/null | sed -n 's/^installed //p')
	for package in "$@"; do
		grep -qxF "$package" <<<"$installed" || printf '%s\n' "$package"
	done
}

# As root, or through sudo; without a terminal sudo must not ask.
as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif [ -t 0 ]; then
		sudo "$@"
	else
		sudo -n "$@"
	fi
}

apt() {
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 "$@"
}

# Install what is missing of these Debian packages. Where that cannot be done, say what is needed and go on: it may be there in another way.
install_packages() { # PACKAGE…
	local missing
	if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
		printf 'This system has no apt-get: nothing is installed.\n'
		print_requirements
		return
	fi
	mapfile -t missing < <(missing_packages "$@")
	if [ "${#missing[@]}" -eq 0 ]; then
		printf 'Nothing is missing.\n'
		return
	fi
	if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
		printf 'Neither root nor sudo: nothing is installed. Missing here, as root: apt-get install %s\n' "${missing[*]}"
		return
	fi
	printf 'Installing: %s\n' "${missing[*]}"
	apt update || printf 'The package lists could not be updated; going on with those that are there.\n'
	quietly apt install --no-install-recommends "${missing[@]}" ||
		printf 'These packages could not be installed: %s\n' "${missing[*]}"
}

check_cmake() {
	local version
	command -v cmake >/dev/null || die "CMake $cmake_minimum or newer is needed and not installed"
	version=$(cmake --version | sed -n '1s/.*version \([0-9.]*\).*/\1/p')
	printf '%s\n' "$cmake_minimum" "$version" | sort --check=quiet --version-sort ||
		die "CMake $cmake_minimum or newer is needed; this one is $version ('pip install cmake' has a newer one)"
}

# Configure and build a preset of CMakePresets.json into a folder.
build() { # PRESET FOLDER [CMAKE-OPTION…]
	local preset=$1 folder=$2
	shift 2
	check_cmake
	(cd "$top" && quietly cmake --preset "$preset" -B "$folder" "$@") || die "cmake could not configure; it says above what it lacks"
	quietly cmake --build "$folder" -j "$(nproc)" || die "the build failed"
	printf 'Built: %s\n' "$folder/bin/ftmpi"
}

# Cores as Open MPI counts them: without hyperthreads, and not more than this process may use.
count_cores() {
	local cores
	cores=$(lscpu --parse=core,socket 2>/dev/null | grep -v '^#' | sort -u | wc -l) || cores=0
	if [ "$cores" -eq 0 ] || [ "$cores" -gt "$(nproc)" ]; then
		cores=$(nproc)
	fi
	printf '%s\n' "$cores"
}

# What mpirun wants to be told: that root may use it, and that more ranks than cores are meant.
mpi_environment() { # RANKS
	[ "$(id -u)" -ne 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
	[ "$1" -le "$(count_cores)" ] || export OMPI_MCA_rmaps_base_oversubscribe=1
}
