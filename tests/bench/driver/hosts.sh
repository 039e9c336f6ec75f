#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: hosts.sh up RATE DELAY | down | mpirun NP PROGRAM [ARGUMENT…] | agent ADDRESS COMMAND…
#
# Two network namespaces as two hosts with a shaped link between them, and mpirun over both with one rank on each: shared memory ends at the namespace, as
# MPI sees it, and all bytes go through TCP on the link. RATE as tc has it (1gbit; 0: unshaped), DELAY one way (1ms; 0: none). `up` ends with 77 where the
# kernel lacks what the shape needs, and says what. As root only. `agent` is what mpirun calls in the place of ssh.
set -euo pipefail

self=$(readlink -f "${BASH_SOURCE[0]}")
name=ftmpi-bench
address() { # HOST-NUMBER
	printf '10.77.0.%d\n' "$1"
}

down() {
	for i in 1 2; do
		ip netns delete "$name-$i" 2>/dev/null || true
	done
}

skip() {
	down
	printf '%s\n' "$*"
	exit 77
}

shape() { # HOST-NUMBER RATE DELAY
	local tc=(ip netns exec "$name-$1" tc qdisc add dev wire)
	local parent=(root handle '1:')
	if [ "$3" != 0 ]; then
		"${tc[@]}" "${parent[@]}" netem delay "$3" limit 100000 2>/dev/null || skip "this kernel has no netem: no delay"
		parent=(parent '1:1' handle '2:')
	fi
	if [ "$2" != 0 ]; then
		"${tc[@]}" "${parent[@]}" tbf rate "$2" burst 128kb latency 50ms 2>/dev/null || skip "this kernel has no tbf: no rate"
	fi
}

up() { # RATE DELAY
	[ "$(id -u)" -eq 0 ] || skip "only root makes network namespaces"
	command -v tc >/dev/null || skip "tc is missing"
	down
	ip netns add "$name-1" 2>/dev/null || skip "this system has no network namespaces"
	ip netns add "$name-2"
	ip link add wire netns "$name-1" type veth peer name wire netns "$name-2" 2>/dev/null || skip "this kernel has no veth"
	for i in 1 2; do
		ip -n "$name-$i" link set lo up
		ip -n "$name-$i" address add "$(address "$i")/24" dev wire
		ip -n "$name-$i" link set wire up
		shape "$i" "$1" "$2"
	done
}

# A namespace of host names too: Open MPI tells hosts apart by it.
on_host() { # HOST-NUMBER COMMAND…
	local host=$1
	shift
	# shellcheck disable=SC2016 # for the inner shell
	exec ip netns exec "$name-$host" unshare --uts sh -c 'hostname "$0" && exec "$@"' "ftmpi-bench-$host" "$@"
}

case ${1:-} in
up) up "$2" "$3" ;;
down) down ;;
agent)
	host=${2##*.}
	shift 2
	on_host "$host" sh -c "$*"
	;;
mpirun)
	shift
	on_host 1 mpirun --host "$(address 1):1,$(address 2):1" --mca plm_rsh_agent "$self agent" --mca plm_rsh_no_tree_spawn 1 \
		--mca btl tcp,self --mca pml ob1 --mca btl_tcp_if_include wire --mca oob_tcp_if_include wire --bind-to none -np "$@"
	;;
*) sed -n '/^# usage/,/^set/s/^# \{0,1\}//p' "$self" && exit 64 ;;
esac
