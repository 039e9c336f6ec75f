# SPDX-License-Identifier: Apache-2.0
"""How the time of a step grows: over logical workers a rank and model size on this machine, over a shaped link between two hosts, and, by a fitted
latency-bandwidth model, over ranks that are not here."""
import os
from pathlib import Path

from measure import Failed, Turns, Worker, ratios, run

HOSTS = Path(__file__).with_name("hosts.sh")
SIZES = ("16", "128", "512", "2048", "2048,2048")
LINKS = (("1gbit", "0"), ("10gbit", "0"), ("0", "1ms"), ("10gbit", "1ms"))
BATCH, ROWS = 256, 128  # of two ranks, and of one
PREDICTED_UNITS = ("512", "2048")
FITTED_UNITS = ("4", "16", "64", "256", "512", "1024")
PREDICTED = (2, 8, 32, 128, 512, 1024)


def n_params(units):
    widths = [784, *map(int, units.split(",")), 10]
    return sum(k * n + n for k, n in zip(widths, widths[1:]))


def link_text(rate, delay):
    return " and ".join([f"{rate[:-4]} Gbit/s"] * (rate != "0") + [delay.replace("ms", " ms one way")] * (delay != "0"))


def model_size(bench, report):
    for np in (1, 2):
        for units in SIZES[:3] if bench.quick else SIZES:
            what = f"step / floor: 784-{units.replace(',', '-')}-10 ({n_params(units) / 1e6:.2g} M parameters), batch {BATCH}, np {np}"
            turns = Turns(bench.round_s / 2, max(3, bench.n_rounds // 2))
            turns.add("ftmpi", bench.serve(np), 0, f"{units} {BATCH} {np}")
            turns.add("floor", bench.serve(np), 0, command="floor")
            turns.go()
            pair_row(report, "growth: model size", what, turns, bench.serve(np).command)


def pair_row(report, section, what, turns, command):
    try:
        report.add(section, what, ratios(turns.of("ftmpi"), turns.of("floor")), None, ours=turns.of("ftmpi"), theirs=turns.of("floor"), unit="s a step",
                   theirs_name="floor", command=command)
    except Failed as error:
        report.missing(section, what, error)


def over_links(bench, report):
    """Two hosts on one machine; the link is shaped, the processors are those of this machine."""
    if os.geteuid() != 0:
        report.missing("growth: hosts", "two hosts over a shaped link", "SKIP: only root makes network namespaces")
        return
    for rate, delay in LINKS:
        try:
            run([HOSTS, "up", rate, delay])
            one_link(bench, report, rate, delay)
        except Failed as error:
            report.missing("growth: hosts", f"two hosts, {link_text(rate, delay)}", f"SKIP: {error}")
        finally:
            run([HOSTS, "down"])


def one_link(bench, report, rate, delay):
    text = link_text(rate, delay)
    worker = Worker(f"two hosts, {text}", [[HOSTS, "mpirun", "2", bench.programs / "bench_serve", bench.idx]], bench.env)
    measured = {}
    try:
        for units in PREDICTED_UNITS:
            turns = Turns(bench.round_s, max(3, bench.n_rounds // 2))
            turns.add("ftmpi", worker, 0, f"{units} {BATCH} 2")
            turns.add("floor", worker, 0, command="floor")
            turns.add("one", bench.serve(1), 0, f"{units} {BATCH} 1")
            turns.go()
            what = f"784-{units}-10, batch {BATCH}, two hosts, {text}"
            pair_row(report, "growth: hosts", f"step / floor: {what}", turns, worker.command)
            measured[units] = turns.of("ftmpi")
            report.add("growth: hosts", f"speed-up over one host: {what}", ratios(turns.of("one"), measured[units]), None, ours=measured[units],
                       theirs=turns.of("one"), unit="s a step", theirs_name="np 1", command=worker.command)
        predict(bench, report, worker, text, measured)
    finally:
        worker.stop()


def fit_line(points):
    """alpha, beta of seconds = alpha + beta · bytes: least squares of the relative errors, for small messages to count as much as large ones."""
    rows = [(1 / t, b / t) for b, t in points]
    s11, s12, s22 = (sum(r[i] * r[j] for r in rows) for i, j in ((0, 0), (0, 1), (1, 1)))
    y1, y2 = sum(r[0] for r in rows), sum(r[1] for r in rows)
    determinant = s11 * s22 - s12 * s12
    alpha, beta = (y1 * s22 - y2 * s12) / determinant, (s11 * y2 - s12 * y1) / determinant
    return (alpha, beta) if alpha > 0 else (min(t for _, t in points), y2 / s22)


def fit_link(worker):
    """Messages of several sizes between the two hosts: [(bytes, seconds)]."""
    points = []
    for units in FITTED_UNITS:
        worker.ask(f"setup 1 {units} 2 2")
        worker.ask("floor 1 3")
        times = sorted(worker.ask("floor 1 5")["exchange"] for _ in range(5))
        points.append((4 * n_params(units) / 2, times[2] / 2))  # a step sends two halves
    worker.ask("drop 1")
    return points


def predict(bench, report, worker, text, measured):
    """Messages between the two hosts give alpha and beta; the compute of a rank's rows is measured at np 1. What np 2 then takes is measured too.

    step(np) = compute(rows a rank) + update(P / np) + 2 · (np − 1) · (alpha + beta · 4 P / np), with P parameters: every rank sends each other one its
    slice of the gradient, and gathers the slices in a ring.
    """
    points = fit_link(worker)
    alpha, beta = fit_line(points)
    assumptions = (f"{text}: alpha {1e6 * alpha:.0f} us, beta {8e-9 / beta:.2f} Gbit/s over messages of {points[0][0] / 1e3:.0f} kB to {points[-1][0] / 1e6:.1f} MB; "
                   f"{ROWS} rows a rank (weak scaling), one rank a host, links that do not share, no overlap of exchange and compute, "
                   "2 (np - 1) messages one after the other, compute and update as measured at np 1 on this machine")
    for units in PREDICTED_UNITS:
        bench.serve(1).ask(f"setup 1 {units} {ROWS} 1")
        samples = [bench.serve(1).ask("step 1 5") for _ in range(5)]
        bench.serve(1).ask("drop 1")
        compute = sorted(s["seconds"] - s["optimizer"] for s in samples)[2]
        update = sorted(s["optimizer"] for s in samples)[2]
        for np in PREDICTED:
            step = compute + update / np + 2 * (np - 1) * (alpha + beta * 4 * n_params(units) / np)
            report.add("growth: predicted", f"predicted efficiency (np 1 / np {np}): 784-{units}-10, {ROWS} rows a rank, {text}", [(compute + update) / step],
                       None, ours=[step], theirs=[compute + update], unit="s a step", theirs_name="np 1", note=assumptions, np=np,
                       series=f"784-{units}-10, {text}")
            if np == 2:
                report.add("growth: hosts", f"measured / predicted, np 2: 784-{units}-10, batch {BATCH}, {text}", [t / step for t in measured[units]], None,
                           ours=measured[units], theirs=[step], unit="s a step", theirs_name="predicted")
