"""Tables and a picture of bench/peers_run.py's results: {program: {learning rate: evaluations}}, each evaluation a
dictionary of epoch, impressions, seconds, cpu_s, auc_ctr, auc_cvr, auc_ctcvr in order of time."""
import math

from report import table

COLOURS = {"torch": "#a0aec0", "torch-dense": "#4a5568", "torch-still": "#cbd5e0", "deepctr": "#dd6b20", "rechub": "#38a169",
           "esmm": "#2b6cb0", "esmm-1": "#63b3ed", "esmm-rowwise": "#6b46c1"}
NAMES = {"torch": "PyTorch, SparseAdam", "torch-dense": "PyTorch, Adam", "torch-still": "PyTorch, SparseAdam, beta1 0",
         "deepctr": "deepctr-torch 0.3.0", "rechub": "torch-rechub 0.9.0", "esmm": "esmm, 2 trainer threads",
         "esmm-1": "esmm, 1 trainer thread", "esmm-rowwise": "esmm, rowwise_rmsprop, 2 trainer threads"}


def first(evaluations, metric, value):
    """The first evaluation whose AUC is at least `value`, or None."""
    return next((e for e in evaluations if (e[f"auc_{metric}"] or 0) >= float(value)), None)


def best(by_rate, metric, value):
    """(learning rate, evaluation) of the rate that is there first; None if none is."""
    there = [(lr, e) for lr, evaluations in by_rate.items() if (e := first(evaluations, metric, value))]
    return min(there, key=lambda x: x[1]["seconds"], default=None)


def rate(evaluations):
    return evaluations[-1]["impressions"] / evaluations[-1]["seconds"]


def highest(evaluations, metric):
    return max(e[f"auc_{metric}"] or 0 for e in evaluations)


def lines(found, targets):
    """For programs: 'bench=peers key=value...', one of each program, rate and target."""
    out = []
    for name, by_rate in found.items():
        for lr, evaluations in by_rate.items():
            for metric, value in targets:
                e = first(evaluations, metric, value)
                out.append(f"bench=peers program={name} lr={lr:g} metric={metric} target={value} "
                           f"seconds={e['seconds'] if e else 'never'} impressions={e['impressions'] if e else 'never'} "
                           f"best={highest(evaluations, metric):.5f} ips={rate(evaluations):.0f}")
    return out


def seconds(e):
    return "never" if e is None else f"{e['seconds']:.1f} s"


def summary(found, targets):
    """A row for each program, at its best rate for each target."""
    rows = []
    for name, by_rate in found.items():
        cells = [best(by_rate, metric, value) for metric, value in targets]
        rows.append([NAMES[name], f"{max(map(rate, by_rate.values())) / 1000:.1f} k",
                     *("never" if c is None else f"{seconds(c[1])} ({c[0]:g})" for c in cells),
                     *(f"{max(highest(e, metric) for e in by_rate.values()):.4f}" for metric in ("ctr", "ctcvr"))])
    return table(["program", "impressions/s", *(f"{m.upper()} {v}" for m, v in targets), "best CTR", "best CTCVR"], rows)


def details(found, targets):
    rows = [[NAMES[name], f"{lr:g}", f"{rate(e) / 1000:.1f} k", f"{e[-1]['impressions'] / 1e6:.2f} M",
             f"{e[-1]['cpu_s'] / e[-1]['impressions'] * 1e6:.0f}",
             *(seconds(first(e, metric, value)) for metric, value in targets),
             *(f"{highest(e, metric):.4f}" for metric in ("ctr", "cvr", "ctcvr")), e[-1]["peak_mb"]]
            for name, by_rate in found.items() for lr, e in by_rate.items()]
    return table(["program", "learning rate", "impressions/s", "trained on", "CPU s per M",
                  *(f"{m.upper()} {v}" for m, v in targets), "best CTR", "best CVR", "best CTCVR", "peak MB"], rows)


def page(found, targets, where):
    rates = sorted({lr for by_rate in found.values() for lr in by_rate})
    return (f"Machine: {where['cpu']}, {where['cores']} cores; {where['when']}. {where['version']} ({where['commit']}).\n\n"
            f"Seconds of training until a held-out AUC is there, at the best of the learning rates "
            f"{', '.join(f'{lr:g}' for lr in rates)} (in brackets):\n\n{summary(found, targets)}\n\n"
            f"Each rate by itself:\n\n{details(found, targets)}\n")


# --- picture -----------------------------------------------------------------------------------------------------

WIDTH, HEIGHT, LEFT, TOP = 520, 250, 60, 40  # of a panel


def fairest(by_rate, metric, targets):
    """The run to draw: at the rate that gets to most of the metric's targets, soonest; then to the highest AUC."""
    def rank(evaluations):
        there = [e["seconds"] for m, v in targets if m == metric and (e := first(evaluations, m, v))]
        return len(there), -max(there, default=0), highest(evaluations, metric)
    return max(by_rate.items(), key=lambda item: rank(item[1]))


def ticks(low, high):
    """1, 2, 5, 10, 20, ... from low to high."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [x for d in decades for m in (1, 2, 5) if low <= (x := m * 10 ** d) <= high]


def panel(found, metric, targets, top):
    """AUC over seconds, those on a logarithmic scale."""
    runs = {name: fairest(by_rate, metric, targets) for name, by_rate in found.items()}
    marks = [float(v) for m, v in targets if m == metric]
    points = [e for _, evaluations in runs.values() for e in evaluations]
    begin, end = min(e["seconds"] for e in points) * 0.9, max(e["seconds"] for e in points) * 1.1
    high = max([*marks, *(e[f"auc_{metric}"] or 0 for e in points)]) + 0.003
    low = min(marks, default=high) - (0.03 if metric == "ctr" else 0.1)

    def x(s):
        return LEFT + WIDTH * math.log(s / begin) / math.log(end / begin)

    def y(auc):
        return top + HEIGHT * (high - max(auc, low)) / (high - low)

    out = [f'<text x="{LEFT}" y="{top - 10}" font-weight="bold">Held-out {metric.upper()} AUC over seconds of training'
           '</text>', f'<rect x="{LEFT}" y="{top}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#a0aec0"/>']
    out += [f'<text x="{x(s):.0f}" y="{top + HEIGHT + 16}" text-anchor="middle">{s:g} s</text>'
            for s in ticks(begin, end)]
    for value in marks:
        out.append(f'<path d="M{LEFT} {y(value):.1f}h{WIDTH}" stroke="#e53e3e" stroke-dasharray="4 4"/>'
                   f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:g}</text>')
    for i, (name, (lr, evaluations)) in enumerate(runs.items()):
        points = [(f"{x(e['seconds']):.1f}", f"{y(e[f'auc_{metric}'] or 0):.1f}") for e in evaluations]
        line = " ".join(map(",".join, points))
        out.append(f'<polyline points="{line}" fill="none" stroke="{COLOURS[name]}" stroke-width="2"/>')
        out += [f'<circle cx="{a}" cy="{b}" r="2.5" fill="{COLOURS[name]}"/>' for a, b in points]
        out.append(f'<rect x="{LEFT + WIDTH + 14}" y="{top + 22 * i + 4}" width="14" height="10" fill="{COLOURS[name]}"/>'
                   f'<text x="{LEFT + WIDTH + 34}" y="{top + 22 * i + 14}">{NAMES[name]}, rate {lr:g}</text>')
    return out


def picture(found, targets):
    metrics = list(dict.fromkeys(m for m, _ in targets))
    height = TOP + len(metrics) * (HEIGHT + 70)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 280} {height}" '
           'font-family="sans-serif" font-size="13">', '<rect width="100%" height="100%" fill="white"/>']
    for i, metric in enumerate(metrics):
        out += panel(found, metric, targets, TOP + i * (HEIGHT + 70))
    return "\n".join(out + ["</svg>\n"])
