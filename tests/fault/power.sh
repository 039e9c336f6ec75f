#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: power.sh mpirun|launch|hang|death: a node loses its power while it trains: no connection of it closes, it just falls silent. Two nodes, played by name
# spaces of network, host name, processes and shared memory, with a cable between them that is pulled; the second node's processes are gone at the same
# moment. The job ends in bounded time with a line that says why, and what is left goes on to the same bits.
set -euo pipefail
if [ "${FTMPI_TEST_NAMESPACE:-}" != 1 ]; then
	# shellcheck source=../lib.sh
	. "$(dirname "$0")/../lib.sh"
	need unshare nsenter ip
	unshare --net --pid --fork --uts --ipc --mount --mount-proc true 2>/dev/null || skip "unshare may not make name spaces here"
	unshare --net ip link add cable1 type veth peer name cable2 2>/dev/null || skip "there are no virtual network cables here"
	FTMPI_TEST_NAMESPACE=1 exec unshare --net --pid --fork --kill-child --uts --mount --mount-proc "$0" "$@"
fi
# shellcheck source=long.sh
. "$(dirname "$0")/long.sh"
run_limit_s=300 # a launch of two attempts, one of which waits for what is gone

# Only a node's first process has its parent out here.
find_init() { # UNSHARE
	init=$(children_of "$1") && [ -n "$init" ]
}

node_is_up() {
	nsenter --target "$init" --net ip link show up 2>/dev/null | grep -q 'lo:' && [ "$(nsenter --target "$init" --uts uname -n)" = two ]
}

# Node one is where this script and mpirun run. Host names and process numbers are those of another such test, so what Open MPI calls by them is kept apart:
# each node has its own /dev/shm and folder for temporary files.
make_nodes() {
	hostname one
	mount -t tmpfs tmpfs /dev/shm
	mount -t tmpfs tmpfs /run
	export TMPDIR=/run/node
	mkdir "$TMPDIR"
	printf '127.0.0.1 localhost\n10.9.0.1 one\n10.9.0.2 two\n' >addresses
	mount --bind addresses /etc/hosts
	ip link set lo up
	unshare --net --uts --ipc --pid --mount --fork --mount-proc bash -c \
		'hostname two && mount -t tmpfs tmpfs /dev/shm && mount -t tmpfs tmpfs "$TMPDIR" && ip link set lo up && while :; do sleep 1000; done' &
	until_true find_init "$!"
	until_true node_is_up
	ip link add cable1 type veth peer name cable2
	ip link set cable2 netns "$init"
	ip address add 10.9.0.1/24 dev cable1
	ip link set cable1 up
	nsenter --target "$init" --net sh -c 'ip address add 10.9.0.2/24 dev cable2 && ip link set cable2 up'
	cat >on_node <<-END
		#!/bin/sh
		# HOST COMMAND…, as rsh
		shift
		exec nsenter --target $init --net --uts --ipc --pid --mount sh -c "\$*"
	END
	chmod +x on_node
	printf 'one slots=2\ntwo slots=2\n' >hosts
	export OMPI_MCA_orte_default_hostfile=$scratch/hosts OMPI_MCA_plm_rsh_agent=$scratch/on_node OMPI_MCA_plm_rsh_no_tree_spawn=1
	export OMPI_MCA_oob_tcp_if_include=10.9.0.0/24 OMPI_MCA_btl_tcp_if_include=10.9.0.0/24
}

# The cable is out, then the processes are gone: nothing of them comes over it. From here on the list of hosts is what it is for whoever launches next.
lose_power() {
	nsenter --target "$init" --net ip link set cable2 down
	kill -KILL "$init"
	echo 'one slots=2' >hosts
}

# Long enough that the node is lost within it, short enough for a busy machine.
long_enough=6000
under_launch() { # OPTION…
	start_launch --nnodes 1:2 --nproc-per-node 2 --mpirun "$mpiexec" --backoff-secs 0.1 -- \
		"${problem[@]}" "${long[@]}" --max-steps "$long_enough" --model-dir run "$@"
	until_saved run 200
	lose_power
	if [ -n "${with_death:-}" ]; then
		until_launched ""
		kill -KILL "$(rank_pid 1)"
	fi
	wait_launch
	expect_exit 0
	expect_stderr "ftmpi: warning: a node was lost: going on with 2 ranks"
	ends+=("run $long_enough")
	last_end=$long_enough
}

make_data data
make_nodes
case $1 in
mpirun) # asked to look after its nodes often, mpirun finds it out by itself
	export OMPI_MCA_oob_tcp_keepalive_time=4 OMPI_MCA_oob_tcp_keepalive_intvl=1 OMPI_MCA_oob_tcp_keepalive_probes=3
	start 4 run --hang-timeout 600
	until_saved run 200
	lose_power
	wait_ftmpi
	expect_exit 205
	expect_stderr "ORTE has lost communication with a remote daemon."
	finish 2 run
	;;
launch) # has mpirun do that
	under_launch --hang-timeout 600
	expect_stderr "ORTE has lost communication with a remote daemon."
	;;
hang) # mpirun finds nothing out: the ranks notice that they hang, and the launcher that mpirun does not end
	export OMPI_MCA_oob_tcp_keepalive_time=0
	under_launch --hang-timeout 2
	expect_stderr "ftmpi: error: hang: all ranks of host one wait in "
	expect_stderr "none of them is late: look at the other hosts; ending the job: relaunch to go on from the last checkpoint"
	expect_stderr "ftmpi: warning: mpirun has not ended 20 s after the ranks: it waits for a node that is gone, and is killed"
	;;
death) # a rank of the node that is left dies too; mpirun, which ends the job, waits for the node that is gone
	export OMPI_MCA_oob_tcp_keepalive_time=0
	with_death=1
	under_launch --hang-timeout 600
	expect_stderr "ftmpi: warning: mpirun has not ended 60 s after the ranks: it waits for a node that is gone, and is killed"
	;;
*) fail "no part '$1'" ;;
esac
compare_ends
