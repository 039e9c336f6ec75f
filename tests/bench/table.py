# SPDX-License-Identifier: Apache-2.0
"""usage: table.py FILE.json: the Markdown table of a run of the benchmark. Rows with a target first, and those that miss it in bold."""
import json
import sys


def number(value):
    return f"{value:.2f}" if 0.1 <= abs(value) < 100 else f"{value:.3g}"


def amount(spread, unit):
    """A median with its unit, in a size for people."""
    value = spread["median"]
    if unit.startswith("s"):
        for factor, name in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
            if value * factor >= 1 or name == "µs":
                return f"{value * factor:.3g} {name}{unit[1:]}"
    if unit == "bytes":
        return f"{value / 1e6:.0f} MB"
    return f"{value:.4g}" + (f" {unit}" if unit != "loss" else "")


def cells(row):
    """What, ratio with its quartiles, target, reached, ours, theirs."""
    if row["ratio"] is None:
        return [row["what"], "-", row["target"] or "", "not measured", "", row["note"]]
    r = row["ratio"]
    ratio = number(r["median"]) + (f" ({number(r['q1'])} … {number(r['q3'])})" if r["n"] > 1 else "")
    reached = {None: "", True: "yes", False: "**no**"}[row["met"]]
    unit = row.get("unit", "")
    return [row["what"], f"**{ratio}**" if row["met"] is False else ratio, row["target"] or "", reached,
            amount(row["ours"], unit) if "ours" in row else "", amount(row["theirs"], unit) if "theirs" in row else ""]


def line(row):
    """One row as it comes, for a terminal: ratio first."""
    what, ratio, target, reached, ours, theirs = (c.replace("**", "") for c in cells(row))
    return f"{ratio:24} {target:8} {reached:12} {what}: {ours}{' | ' + theirs if theirs else ''}"


def markdown(rows, with_target):
    heads = ["", "ratio (quartiles)"] + (["target", "reached"] if with_target else []) + ["ftmpi", "other"]
    out = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in rows:
        c = cells(row)
        c = c if with_target else c[:2] + c[4:]
        out.append("| " + " | ".join(cell.replace("|", "\\|").replace("<=", "≤").replace(">=", "≥") for cell in c) + " |")
    return out


def predictions(rows):
    """One line a model and link, one column a number of ranks; the assumptions below."""
    ranks = sorted({row["np"] for row in rows})
    found = {(row["series"], row["np"]): row for row in rows}
    out = ["| predicted efficiency | " + " | ".join(f"np {np}" for np in ranks) + " |", "|" + "---|" * (len(ranks) + 1)]
    for series in dict.fromkeys(row["series"] for row in rows):
        values = [f"{number(row['ratio']['median'])} ({amount(row['ours'], row['unit'])})" if (row := found.get((series, np))) else "" for np in ranks]
        out.append(f"| {series} | " + " | ".join(values) + " |")
    return out + [""] + [f"Assumed for {note}." for note in dict.fromkeys(row["note"] for row in rows)]


def render(result):
    m = result["machine"]
    out = [f"{m['cpu']}, {m['cores']} cores, {m['memory_bytes'] / 2**30:.0f} GiB, Linux {m['kernel']}; {m['mpi']}; {m['blas']}; {', '.join(m['peers']) or 'no peers'}. "
           f"Load at the start {m['load_at_start']:.1f}. `{result['command'].strip()}`, {result['date'][:10]}.", ""]
    predicted = [row for row in result["rows"] if "series" in row]
    with_target = [row for row in result["rows"] if row["target"]]
    others = [row for row in result["rows"] if not row["target"] and "series" not in row]
    if with_target:
        out += markdown(with_target, True)
        missed = sum(row["met"] is False for row in with_target)
        unknown = sum(row["met"] is None for row in with_target)
        out += ["", f"{len(with_target) - missed - unknown} of {len(with_target)} targets reached, {missed} missed, {unknown} not measured."]
    if others:
        out += ["", *markdown(others, False)]
    if predicted:
        out += ["", *predictions(predicted)]
    return "\n".join(out) + "\n"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        print(render(json.load(file)), end="")
