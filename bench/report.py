#!/usr/bin/env python3
"""Tables and a picture from the raw numbers of bench/run.py.

    report.py RESULTS.jsonl [--into PAGE.md] [--svg PICTURE.svg]

Prints Markdown, or replaces what stands between the marks <!-- bench --> and <!-- /bench --> of a page.
Every figure is the median over the runs; ratios are taken within a run, then their median.
"""
import argparse
import json
import statistics
import sys


def median(values):
    values = [v for v in values if v is not None]
    return statistics.median(values) if values else None


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "|".join("---" for _ in head) + "|"]
    lines += ["| " + " | ".join("" if c is None else str(c) for c in row) + " |" for row in rows]
    return "\n".join(lines)


def thousands(x):
    return None if x is None else f"{x / 1000:.1f} k"


def cases(lines, *keys):
    """Lines grouped by the values of keys, in order of first appearance."""
    groups = {}
    for line in lines:
        groups.setdefault(tuple(line.get(k) for k in keys), []).append(line)
    return groups.items()


def best_peer(peers, run, model_input, grouped):
    """The peer's best threads setting of that run, if it was there."""
    rates = [p["ips"] for p in peers if (p["run"], p["input"], p["grouped"]) == (run, model_input, grouped)]
    return max(rates) if rates else None


def ratio(lines, of):
    return median([line["ips"] / other for line in lines if (other := of(line))])


def times(x, digits=1):
    return None if x is None else f"{x:.{digits}f} ×"


def system(lines, peers):
    rows = []
    for (model_input, precision, servers, workers, threads), group in cases(
            lines, "input", "precision", "servers", "workers", "threads"):
        share = ratio(group, lambda g: g.get("limit_ips"))
        against = [ratio(group, lambda g, x=x: best_peer(peers, g["run"], model_input, x)) for x in (True, False)]
        rows.append([model_input, precision, f"{servers} + {workers} × {threads}",
                     thousands(median(g["ips"] for g in group)),
                     thousands(median(g.get("limit_ips") for g in group)),
                     None if share is None else f"{100 * share:.0f} %", *map(times, against),
                     f"{median(g['cpu_s_per_m'] for g in group):.1f}",
                     f"{median(g['wire_bytes'] for g in group):.0f}",
                     f"{median(g['peak_mb']['servers'] for g in group):.0f} / "
                     f"{median(g['peak_mb']['workers'] for g in group):.0f}"])
    return table(["input", "precision", "servers + workers × threads", "impressions/s", "dense part alone", "share",
                  "against PyTorch grouped", "flat", "CPU s per M", "wire bytes per impression",
                  "peak MB server / worker"], rows)


def stages(lines):
    rows = []
    for (model_input, precision), group in cases(
            [x for x in lines if "limit_ips" in x], "input", "precision"):
        for role in ("workers", "servers"):
            mine = {}
            for line in group:
                for stage, seconds in line["stages_s_per_m"][role].items():
                    mine.setdefault(stage, []).append(seconds)
            cpu = median(g["cpu_s_per_m_by_role"][role] for g in group)
            rows.append([model_input, precision, role, f"{cpu:.2f}",
                         ", ".join(f"{k} {median(v):.2f}" for k, v in mine.items() if median(v) >= 0.005)])
    return table(["input", "precision", "role", "CPU s per M", "wall s of its threads per M impressions, by stage"],
                 rows)


def peer(peers):
    rows = [[model_input, "grouped" if grouped else "flat", threads, thousands(median(p["ips"] for p in group)),
             f"{median(p['cpu_s_per_m'] for p in group):.0f}"]
            for (model_input, grouped, threads), group in cases(peers, "input", "grouped", "threads")]
    return table(["input", "PyTorch", "threads", "impressions/s", "CPU s per M"], rows)


def server(lines):
    rows = [[f"{s['rows'] / 1e6:g} M", s["optimizer"], "uniform" if s["zipf"] == 0 else f"Zipf {s['zipf']:g}",
             f"{s['keys'] / 1000:g} k", s["transport"], f"{s['pull_mrows']:.1f}", f"{s['pull_server_cpu']:.3f}",
             f"{s['both_mrows']:.1f}", f"{s['both_server_cpu']:.3f}", f"{s['both_client_cpu']:.3f}",
             f"{s['row_bytes']:.0f}"] for s in lines]
    return table(["rows", "optimizer", "keys", "a request", "over", "pulled M rows/s", "server CPU s per M",
                  "pulled and pushed M rows/s", "server CPU s per M", "client CPU s per M", "bytes a row"], rows)


def parts(lines):
    return table(["part", "rate", "naive twin", ""],
                 [[p["name"], f"{p['rate'] / 1e6:.1f} M {p['unit']}/s", f"{p['naive'] / 1e6:.1f}",
                   times(p["rate"] / p["naive"])] for p in lines])


def model(lines):
    rows = [[m["input"], m["compute"], thousands(m["train_ips"]), f"{m['gflops']:.0f}", f"{100 * m['share']:.0f} %",
             f"{100 * m['sgemm_share']:.0f} %", thousands(m["forward_ips"])] for m in lines if "compute" in m]
    return table(["input", "kernel", "a training step, impressions/s a core", "GFLOP/s", "of its products alone",
                  "of sgemm's", "forward alone"], rows)


def step(models, shards, timers, tables):
    """What is not a matrix product, and each thing's naive twin."""
    rows = []
    for m in models:
        if "pool_ms" in m:
            per_m = 1e3 / m.get("impressions", 4096)
            for name, twin in (("pool", "pool_naive_ms"), ("unpool", None), ("loss", "loss_naive_ms")):
                fast, naive = m[f"{name}_ms"], m.get(twin)
                rows.append([f"{name}, {m['input']}", f"{fast * per_m:.3f} CPU s per M impressions",
                             None if naive is None else f"{naive * per_m:.3f}",
                             None if naive is None else times(naive / fast)])
        if "naive_ips" in m:
            fast = [x["train_ips"] for x in models if x.get("input") == "concat" and x.get("compute") == "f32"]
            fast = fast or [x["train_ips"] for x in models if x.get("input") == "concat" and "compute" in x]
            rows.append(["a whole step, concat", f"{1e6 / fast[0]:.1f} CPU s per M impressions",
                         f"{1e6 / m['naive_ips']:.0f}", times(fast[0] / m["naive_ips"], 0)])
    for s in shards:
        rows.append(["reading a shard", f"{s['read_ips'] / 1e6:.1f} M impressions/s", None, None])
        rows.append(["cutting batches", f"{s['cut_ips'] / 1e6:.1f} M impressions/s", None, None])
    for t in timers:
        rows.append(["the stage timer", f"{t['lap_ns']:.0f} ns a lap", None, None])
    for t in tables:
        ours, twin = {}, {}
        for line in t["text"].splitlines():
            name, _, rest = line.partition(": ")
            if rest.endswith("M rows/s"):
                what, value = rest[:-len("M rows/s")].rsplit(None, 1)
                (twin if name == "chained map" else ours)[what.strip()] = float(value)
        for what, rate in ours.items():
            other = next((v for k, v in twin.items() if what.startswith(k.split(" (")[0])), None)
            rows.append([f"table: {what}", f"{rate:.1f} M rows/s", other,
                         None if other is None else times(rate / other)])
    return table(["part", "", "naive twin", ""], rows)


def growth(lines):
    out = []
    for what, unit in (("processes", "servers × workers"), ("batch", "batch")):
        base = None
        rows = []
        for (x,), group in cases([g for g in lines if g["what"] == what], "x"):
            cpu = median(g["cpu_s_per_m"] for g in group)
            base = base or cpu
            rows.append([f"{x} × {x}" if what == "processes" else x, f"{cpu:.2f}", f"{cpu / base:.2f}",
                         thousands(median(g["ips"] for g in group)),
                         f"{median(g['wire_bytes'] for g in group):.0f}"])
        out.append(table([unit, "CPU s per M impressions", "against the first", "impressions/s",
                          "wire bytes per impression"], rows))
    rows = [[f"{g['x']:g} M", f"{g['both_server_cpu']:.3f}", f"{g['row_bytes']:.0f}"]
            for g in lines if g["what"] == "rows"]
    out.append(table(["rows", "server CPU s per M rows pulled and pushed", "bytes a row"], rows))
    return "\n\n".join(out)


def tools(lines):
    rows = []
    for (what, unit), group in cases(lines, "what", "unit"):
        value = median(g["value"] for g in group)
        note = None
        if what == "predict":
            note = times(median(g["value"] / g["train_ips"] for g in group)) + " the training rate"
        rows.append([what, None if value is None else f"{value:,.2f}" if value < 100 else f"{value:,.0f}", unit, note])
    return table(["what", "median", "unit", ""], rows)


def page(by):
    machine = by["machine"][0]
    text = [f"Machine: {machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, "
            f"{machine['simd']}; {machine['when']}. Kernel: "
            f"{'avx512' if 'avx512f' in machine['simd'] else 'blas'}, bf16 and blas where a row says so. "
            f"{machine.get('version', 'esmm')} ({machine.get('commit', 'unknown commit')})."]
    shape = by.get("shard")
    if shape:
        text.append(f"Log: Ali-CCP's shape, {shape[0]['rows_per_impression']:.1f} distinct rows an impression in "
                    "batches of 4096.")
    peers = by.get("peer", [])
    sections = [("The whole system", "system", lambda x: system(x, peers)), ("By stage", "system", stages),
                ("The peer", "peer", peer), ("The server alone", "server", server), ("The model alone", "model", model),
                ("Parts", "parts", parts),
                ("The rest of a step, and of the table", "model",
                 lambda x: step(x, by.get("shard", []), by.get("timer", []), by.get("table", []))), ("Growth", "growth", growth), ("Tools", "tools", tools)]
    for title, key, make in sections:
        if by.get(key):
            text.append(f"### {title}\n\n{make(by[key])}")
    return "\n\n".join(text)


def picture(by):
    """Bars: what two cores train a second, within the limit of the dense part alone."""
    bars = []
    peers = by.get("peer", [])
    for (model_input, precision), group in cases([x for x in by.get("system", []) if "limit_ips" in x], "input",
                                                 "precision"):
        bars.append((f"{model_input} {precision}", median(g["ips"] for g in group),
                     median(g["limit_ips"] for g in group), "#2b6cb0"))
    for (model_input, grouped), group in cases(peers, "input", "grouped"):
        best = max(median(p["ips"] for p in g) for _, g in cases(group, "threads"))
        bars.append((f"PyTorch {model_input} {'grouped' if grouped else 'flat'}", best, None, "#a0aec0"))
    top = max((b[2] or b[1] for b in bars), default=1)
    scale, height = 520 / top, 28
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 860 {len(bars) * height + 60}" '
           'font-family="sans-serif" font-size="13">',
           '<rect width="100%" height="100%" fill="white"/>',
           '<text x="10" y="20" font-weight="bold">Impressions a second on two cores; '
           'outline: the dense part alone</text>']
    for i, (name, value, limit, colour) in enumerate(bars):
        y = 36 + i * height
        out.append(f'<text x="10" y="{y + 15}">{name}</text>')
        out.append(f'<rect x="200" y="{y}" width="{value * scale:.0f}" height="20" fill="{colour}"/>')
        if limit:
            out.append(f'<rect x="200" y="{y}" width="{limit * scale:.0f}" height="20" fill="none" stroke="#1a202c"/>')
        label = f"{value / 1000:.1f} k" + (f" of {limit / 1000:.0f} k" if limit else "")
        out.append(f'<text x="{205 + (limit or value) * scale:.0f}" y="{y + 15}">{label}</text>')
    return "\n".join(out + ["</svg>\n"])


def put(path, mark, text):
    """Replaces what stands between the marks <!-- MARK --> and <!-- /MARK --> of a page."""
    with open(path) as f:
        old = f.read()
    begin, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    if begin not in old or end not in old:
        sys.exit(f"{path} lacks the marks {begin} and {end}")
    head, tail = old.split(begin)[0], old.split(end)[1]
    with open(path, "w") as f:
        f.write(f"{head}{begin}\n\n{text}\n\n{end}{tail}")


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("results")
    ap.add_argument("--into")
    ap.add_argument("--svg")
    args = ap.parse_args()
    by = {}
    with open(args.results) as f:
        for line in f:
            record = json.loads(line)
            by.setdefault(record.pop("part"), []).append(record)
    text = page(by)
    if args.svg:
        with open(args.svg, "w") as f:
            f.write(picture(by))
    if not args.into:
        print(text)
        return
    put(args.into, "bench", text)


if __name__ == "__main__":
    main()
