# SPDX-License-Identifier: Apache-2.0
"""What is measured on one machine: the step, the exchange, elasticity, memory and a run that saves. Each section is a function of (bench, report)."""
import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

from measure import LEAST_ROUNDS, Failed, Turns, end, ratios, run, seconds_of

PEERS = Path(__file__).resolve().parents[1] / "peers"
# name: units, global batch
WORKLOADS = {
    "B32": ("512", 32),
    "B256": ("512", 256),
    "B2048": ("512", 2048),
    "MLP": ("4096,4096,4096,4096", 256),
}
LOSS_STEPS = 200
FLOAT32_SLOT = 7  # beside slot 0, which the floor shares
ROOM_OF_MLP = 14 << 30  # six processes with 54 million parameters each


def workload_text(name):
    units, batch = WORKLOADS[name]
    return f"model B, batch {batch}" if units == "512" else f"MLP 4 x 4096, batch {batch}"


def step_targets(name, np):
    """(over the floor, against PyTorch, against MultiWorkerMirroredStrategy, against Keras's fit)"""
    large = np == 2 and name != "B32"
    small = np == 1 and name == "B32"
    return "<= 1.25" if large else "<= 1.2" if small else None, ">= 2" if large else None, ">= 4" if large else None, "> 1" if small else None


def available_bytes():
    with open("/proc/meminfo", encoding="ascii") as file:
        return int(re.search(r"MemAvailable: +(\d+)", file.read()).group(1)) << 10


def steps(bench, report, name):
    """ftmpi, its floor and the peers, alternately: all of them, or, where they are large, those with one rank or process before those with two."""
    for ranks in ((1,), (2,)) if name == "MLP" else ((1, 2),):
        peers = {key: worker for key, worker in bench.peers.items() if key[1] in ranks}
        if name == "MLP" and available_bytes() < ROOM_OF_MLP:
            peers = {key: f"left out: {ROOM_OF_MLP >> 30} GiB of free memory are needed" for key in peers}
        turns = take_turns(bench, WORKLOADS[name], ranks, peers)
        for np in ranks:
            step_rows(bench, report, name, np, peers, turns)
        if name == "B256":
            losses(bench, report, "512 256")
        for worker in [*map(bench.serve, ranks), *peers.values()]:
            try:
                if not isinstance(worker, str):
                    worker.ask("drop 0")
                if worker in bench.serves.values():
                    worker.ask(f"drop {FLOAT32_SLOT}")
            except Failed:
                pass


def take_turns(bench, workload, ranks, peers):
    setup = f"{workload[0]} {workload[1]}"
    turns = Turns(bench.round_s, bench.n_rounds)
    for np in ranks:
        turns.add(("ftmpi", np), bench.serve(np), 0, f"{setup} {np}")
        turns.add(("floor", np), bench.serve(np), 0, command="floor")
        turns.add(("float32", np), bench.serve(np), FLOAT32_SLOT, f"{setup} {np} float32")
    for key, worker in peers.items():
        if isinstance(worker, str):
            turns.why[key] = worker
        else:
            turns.add(key, worker, 0, f"{setup} 1")
    turns.go()
    return turns


def step_rows(bench, report, name, np, peers, turns):
    floor, torch, mirrored, keras = step_targets(name, np)
    rows = [("step / floor", ("floor", np), floor, False),
            ("PyTorch DDP / ftmpi" if np == 2 else "PyTorch, one process / ftmpi", ("torch", np), torch, True),
            ("Keras fit with all cores / ftmpi", ("keras", 1), keras, True),
            ("MultiWorkerMirroredStrategy / ftmpi", ("mirrored", 2), mirrored, True)]
    for what, key, target, theirs_over in rows:
        if key[0] != "floor" and key not in peers or key[1] > np:
            continue
        what = f"{what}: {workload_text(name)}, np {np}"
        try:
            ours, theirs = turns.of(("ftmpi", np)), turns.of(key)
            parts = {part: turns.of(key, part) for part in ("sgemm", "optimizer", "exchange")} if key[0] == "floor" else {}
            note = ", ".join(f"{part} {1e6 * sorted(v)[len(v) // 2]:.0f} us" for part, v in parts.items())
            report.add("step", what, ratios(theirs, ours) if theirs_over else ratios(ours, theirs), target, ours=ours, theirs=theirs, unit="s a step",
                       theirs_name=key[0], command=bench.serve(np).command,
                       theirs_command=peers[key].command if key in peers else bench.serve(np).command, note=f"floor: {note}" if note else "")
        except Failed as error:
            report.missing("step", what, error, target)
    data_row(bench, report, name, np, turns)


def data_row(bench, report, name, np, turns):
    """Of 8-bit inputs, as Fashion-MNIST has them, and of float32 arrays, as the peers read them."""
    for key, inputs in (("ftmpi", "8-bit inputs"), ("float32", "float32 inputs")):
        what = f"data / step, {inputs}: {workload_text(name)}, np {np}"
        try:
            share = ratios(turns.of((key, np), "data"), turns.of((key, np)))
            report.add("data", what, share, "<= 0.03", ours=turns.of((key, np), "data"), unit="s a step", command=bench.serve(np).command)
        except Failed as error:
            report.missing("data", what, error, "<= 0.03")


def losses(bench, report, setup):
    """The peers train the same: loss on the training data after as many steps, each with its own random numbers; the larger over the smaller."""
    found = {}
    for key, worker in {("ftmpi", 2): bench.serve(2), **bench.peers}.items():
        what = f"same training, {key[0]} np {key[1]}: loss after {LOSS_STEPS} steps"
        try:
            if isinstance(worker, str):
                raise Failed(worker)
            worker.ask(f"setup 1 {setup} 2")
            worker.ask(f"step 1 {LOSS_STEPS}")
            found[key] = worker.ask("loss 1")["loss"]
            worker.ask("drop 1")
        except Failed as error:
            report.missing("loss", what, error, "<= 1.05")
            continue
        ours = found.get(("ftmpi", 2))
        if key[0] != "ftmpi" and ours:
            report.add("loss", f"{what}, model B, batch 256", [max(found[key], ours) / min(found[key], ours)], "<= 1.05", ours=[ours], theirs=[found[key]],
                       unit="loss", note="Keras runs whole executions: some steps more" if key[0] in ("keras", "mirrored") else "")


def bits(bench, report):
    """The same bits on 1, 2 and 4 ranks."""
    digests = {}
    what = "same bits at np 1, 2 and 4: model B, batch 256, V 4, 50 steps"
    try:
        for np in (1, 2, 4):
            bench.serve(np).ask("setup 2 512 256 4")
            bench.serve(np).ask("step 2 50")
            digests[np] = bench.serve(np).ask("loss 2")["digest"]
            bench.serve(np).ask("drop 2")
        report.add("bits", what, [len(set(digests.values()))], "<= 1", unit="different digests", note=digests[1], command=bench.serve(4).command)
        bench.serve(4).stop()
    except Failed as error:
        report.missing("bits", what, error, "<= 1")


def elasticity(bench, report):
    """Several logical workers on one rank."""
    turns = Turns(bench.round_s, bench.n_rounds)
    for slot, v in enumerate((1, 2, 4, 8)):
        turns.add(v, bench.serve(1), slot, f"512 256 {v}")
    turns.go()
    for v in (2, 4, 8):
        what, target = f"V = {v} / V = 1: model B, batch 256, np 1", "<= 1.3" if v == 4 else None
        try:
            report.add("elasticity", what, ratios(turns.of(v), turns.of(1)), target, ours=turns.of(v), theirs=turns.of(1), unit="s a step",
                       theirs_name="V = 1", command=bench.serve(1).command)
        except Failed as error:
            report.missing("elasticity", what, error, target)
    for slot in range(4):
        bench.serve(1).ask(f"drop {slot}")


def exchange(bench, report):
    """bench_exchange alternates by itself."""
    bench.stop()  # idle peers have threads that wake up; those that are asked again start again
    path = bench.scratch / "exchange.jsonl"
    command = [*bench.mpirun(2), bench.programs / "bench_exchange", "--json", path, *(["--rounds", "5"] if bench.quick else [])]
    try:
        run(command, bench.env)
        for line in path.read_text().splitlines():
            sample = json.loads(line)
            target = "<= 0.5" if sample["optimizer"] and sample["bytes"] >= 2e6 else None
            parts = ("exchange + Adam / (MPI_Allreduce + Adam everywhere)" if sample["optimizer"] else "exchange / MPI_Allreduce")
            size = f"{sample['bytes'] / 1e6:.3g} MB, np 2"
            report.add("exchange", f"{parts}: {size}", ratios(sample["ours"], sample["theirs"]), target, ours=sample["ours"], theirs=sample["theirs"],
                       unit="s", theirs_name="MPI_Allreduce", command=" ".join(map(str, command)))
    except (Failed, OSError, ValueError, KeyError) as error:
        report.missing("exchange", "exchange + Adam / (MPI_Allreduce + Adam everywhere)", error, "<= 0.5")


def fresh(folder):
    """The folder's name, for a run that begins anew."""
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def train_command(bench, np, folder, *options):
    return [*bench.mpirun(np), bench.program, "--model-dir", folder, "--epochs", "1000", *options]


def saving(bench, report):
    """Whole runs of the program. What both need to start and to end is measured by a run of one step, and taken off."""
    for batch in (32, 256, 2048):
        one, some = (seconds_of(train_command(bench, 2, fresh(bench.scratch / "run"), "--batch-size", str(batch), "--max-steps", str(n)), bench.env) for n in (1, 301))
        n = int((1.5 if bench.quick else 4) * 300 / max(some - one, 1e-3))
        n = min(max(n // 100 * 100, 300), 20000)
        for every, n_steps, target in ((100, n, "<= 1.01"), (1, max(n // 10, 100), None)):
            n_steps += every // 2  # the save at the end, which a run that does not save has too, is one more than these
            for mode in ("--async-checkpoint", "--no-async-checkpoint") if batch == 256 else ("--async-checkpoint",):
                what = f"run saving every {every} steps / not saving {mode}: model B, batch {batch}, np 2, {n_steps} steps"
                saving_row(bench, report, what, target if mode == "--async-checkpoint" else None, ["--batch-size", str(batch), mode], every, n_steps)


def saving_row(bench, report, what, target, mode, every, n_steps):
    options = {"saving": ("--save-checkpoints-steps", str(every)), "bare": ("--save-checkpoints-steps", "1000000"), "start": ()}
    times = {key: [] for key in options}
    command = []
    try:
        end_s = time.monotonic() + 60
        for round_ in range(-1, LEAST_ROUNDS if bench.quick else 5):
            if round_ >= LEAST_ROUNDS and time.monotonic() > end_s:
                break
            for key, more in options.items():
                command = train_command(bench, 2, fresh(bench.scratch / "run"), "--max-steps", str(1 if key == "start" else n_steps), *more, *mode)
                elapsed = seconds_of(command, bench.env)
                if round_ >= 0:
                    times[key].append(elapsed)
        net = {key: [t - s for t, s in zip(times[key], times["start"])] for key in ("saving", "bare")}
        if min(net["bare"] + net["saving"]) <= 0:
            raise Failed("the machine is too busy: a run took no longer than its start")
        report.add("saving", what, ratios(net["saving"], net["bare"]), target, ours=net["saving"], theirs=net["bare"], unit="s a run",
                   theirs_name="not saving", command=" ".join(map(str, train_command(bench, 2, "DIR", "--max-steps", str(n_steps), *options["saving"], *mode))))
    except Failed as error:
        report.missing("saving", what, error, target)


def most_memory(command, env):
    """Most memory of each rank of a program under mpirun, in bytes, looked at again and again until it ends: {"Pss": {rank: bytes}, "VmHWM": …}."""
    most = {"Pss": {}, "VmHWM": {}}
    with subprocess.Popen([str(w) for w in command], env={**os.environ, **env}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            while process.poll() is None:
                for pid in children_of(process.pid):
                    for name, file in (("Pss", "smaps_rollup"), ("VmHWM", "status")):
                        rank, size = rank_and_size(pid, name, file)
                        if rank is not None:
                            most[name][rank] = max(size, most[name].get(rank, 0))
                time.sleep(0.01)
        finally:
            end(process, 0)
    if process.returncode != 0 or not most["Pss"]:
        raise Failed(f"{command[-1]}: it ended with {process.returncode}")
    return most


def children_of(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def rank_and_size(pid, name, file):
    try:
        with open(f"/proc/{pid}/environ", "rb") as environ:
            rank = re.search(rb"OMPI_COMM_WORLD_RANK=(\d+)", environ.read())
        with open(f"/proc/{pid}/{file}", encoding="ascii") as facts:
            size = re.search(rf"^{name}:\s+(\d+)", facts.read(), re.MULTILINE)
        return (int(rank.group(1)), int(size.group(1)) << 10) if rank and size else (None, 0)
    except OSError:
        return None, 0


def memory(bench, report):
    """By Pss: of a page that two ranks have mapped, half is each one's; so the ranks' figures add up to what the node gives. The program with a model of one
    unit has all that does not grow with the model (libraries, the data's copy of the node): taken off."""
    bench.stop()
    units = ["4096"] * 2 if bench.quick else ["4096"] * 4
    widths = [784, *map(int, units), 10]
    n_params = sum(k * n + n for k, n in zip(widths, widths[1:]))
    rows, np = 128, 2
    budget = 4 * n_params * (3 + 1) + 4 * rows * sum(widths)
    what = f"most memory / (state + gradients + activations): MLP {len(units)} x 4096, batch {rows * np}, np {np}"

    def options(hidden):
        return "--hidden-units", hidden, "--batch-size", str(rows * np), "--max-steps", "5", "--save-checkpoints-steps", "2"

    try:
        most = {}
        for name, hidden in (("model", ",".join(units)), ("base", "1")):
            most[name] = most_memory(train_command(bench, np, fresh(bench.scratch / "run"), *options(hidden)), bench.env)
        shutil.rmtree(bench.scratch / "run", ignore_errors=True)
        for rank, who, target in ((0, "chief", "<= 2"), (1, "other rank", "<= 1")):
            grown, base, resident = most["model"]["Pss"][rank] - most["base"]["Pss"][rank], most["base"]["Pss"][rank], most["model"]["VmHWM"][rank]
            report.add("memory", f"{who}, {what}", [grown / budget], target, ours=[grown], theirs=[budget], unit="bytes", theirs_name="budget",
                       command=" ".join(map(str, train_command(bench, np, "DIR", *options(",".join(units))))),
                       note=f"Pss less {base >> 20} MiB of a model of one unit; VmHWM {resident >> 20} MiB")
    except (Failed, KeyError) as error:
        report.missing("memory", what, error, "<= 2")
