# SPDX-License-Identifier: Apache-2.0
"""Saves and restores: ftmpi's by bench_checkpoint, which alternates with memcpy, raw writes and reads by itself, and the peers', which take turns."""
import json

import sections
from measure import Failed, Worker, ratios, run

PEERS = {"manager": ("tensorflow", "tf.train.CheckpointManager"), "backup": ("tensorflow", "Keras BackupAndRestore"),
         "torch_save": ("torch", "torch.save"), "torch_async": ("torch", "torch async_save")}
STATES = {"5 MB": "512", "600 MB": "4096,4096,4096,4096", "2 GB": "9216,9216,9216"}  # parameters and two slots
# what bench_checkpoint measures: row, sample over floor or floor over sample, target
OURS = (("stall of an asynchronous save / memcpy of the state", "stall", "memcpy", False, "<= 1.5"),
        ("raw write + fsync / durable save", "durable", "raw_write", True, ">= 0.8"),
        ("raw read + broadcast / restore", "restore", "raw_read", True, ">= 0.7"))


def checkpoints(bench, report):
    states = {"5 MB": STATES["5 MB"]} if bench.quick else {k: v for k, v in STATES.items() if k != "2 GB" or bench.large}
    found = ours(bench, report, states)
    for name, units in states.items():
        need = 20 * {"5 MB": 5, "600 MB": 650, "2 GB": 2150}[name] << 20
        if sections.available_bytes() < need:
            report.missing("checkpoints", f"peers, state of {name}", f"left out: four of them need {need >> 30} GiB of free memory")
            continue
        peers(bench, report, name, units, found.get(name, {}))


def ours(bench, report, states):
    """A line a state: {"state": "5 MB", "stall": [seconds], "memcpy": […], "durable", "raw_write", "restore", "raw_read"}."""
    program, path, found = bench.programs / "bench_checkpoint", bench.scratch / "checkpoint.jsonl", {}
    command = [*bench.mpirun(2), program, "--json", path, "--dir", bench.scratch / "checkpoints", "--states", ",".join(s.replace(" ", "") for s in states)]
    try:
        if not program.exists():
            raise Failed("bench_checkpoint is not built here")
        run(command, bench.env, 1200)
        found = {line["state"]: line for line in map(json.loads, path.read_text().splitlines())}
    except (Failed, OSError, ValueError, KeyError) as error:
        report.missing("checkpoints", OURS[0][0], error, OURS[0][4])
        return {}
    for name in states:
        for what, sample, floor, inverse, target in OURS:
            try:
                a, b = found[name][sample], found[name][floor]
                report.add("checkpoints", f"{what}: {name}, np 2", ratios(b, a) if inverse else ratios(a, b), target, ours=a, theirs=b, unit="s",
                           theirs_name=floor, command=" ".join(map(str, command)))
            except KeyError as error:
                report.missing("checkpoints", f"{what}: {name}", f"bench_checkpoint does not say {error}", target)
    return found


def peers(bench, report, name, units, mine):
    workers, samples = {}, {}
    for kind, (part, label) in PEERS.items():
        if not bench.has(part):
            report.missing("checkpoints", f"{label}, {name}", f"{part} is not installed")
            continue
        workers[kind] = Worker(label, [[bench.python, sections.PEERS / "checkpoint.py", kind, bench.scratch / "peers"]])
        samples[kind] = {"stall": [], "durable": [], "memcpy": [], "restore": []}
    for round_ in range(-1, 3 if bench.quick or name != "5 MB" else 7):
        for kind in list(workers):
            try:
                one_round(workers[kind], samples[kind], units, round_)
            except Failed as error:
                report.missing("checkpoints", f"{PEERS[kind][1]}, {name}", error)
                workers.pop(kind).stop()
                del samples[kind]
    for kind, found in samples.items():
        peer_rows(report, name, PEERS[kind][1], found, mine, workers[kind].command)
    for worker in workers.values():
        worker.stop()


def one_round(worker, samples, units, round_):
    """The first one warms up."""
    if round_ < 0:
        worker.ask(f"setup 0 {units}")
    save, restore = worker.ask("save 0", 300), worker.ask("restore 0", 300)
    if round_ >= 0:
        for key, value in save.items():
            samples[key].append(value)
        samples["restore"].append(restore["seconds"])


def peer_rows(report, name, label, found, mine, command):
    report.add("checkpoints", f"{label}: stall / memcpy of the state: {name}", ratios(found["stall"], found["memcpy"]), None, theirs=found["stall"], unit="s",
               command=command)
    for what in ("stall", "durable", "restore"):
        ours_s = mine.get(what)
        if ours_s:
            middle = sorted(ours_s)[len(ours_s) // 2]
            report.add("checkpoints", f"{label} / ftmpi, {what}: {name}", [t / middle for t in found[what]], None, ours=ours_s, theirs=found[what], unit="s",
                       theirs_name=label, command=command)
        elif what != "stall":
            report.add("checkpoints", f"{label}: {what} / stall: {name}", ratios(found[what], found["stall"]), None, theirs=found[what], unit="s", command=command)
