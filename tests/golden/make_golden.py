#!/usr/bin/env python3
"""Writes golden_concat.txt, golden_sides.txt (ESMM) and golden_MODEL.txt of every other model (ple2, ple3: ple
with so many levels): one small batch each, with the loss and every gradient as PyTorch's autograd gives them.

    python3 make_golden.py [DIR]        needs torch and numpy

The model is written the plain way: EmbeddingBag-like sums per impression without groups, two towers of
torch.nn.functional.linear and relu, and the loss from probabilities in double precision, so that it
shares no formula with worker/model/loss.c. Parameters are float32 numbers; gradients are computed in
double and written as float32. The same model in float32 must agree to 1e-4, and no pre-activation may
lie so near 0 that rounding could put it on the other side of the kink: else the seed is refused.

A file is lines "name count v v v ..."; whole numbers and floats alike (README.md lists the names).
"""
import sys
import numpy as np
import torch

GROUPS = 5
IMPRESSIONS = 23
USER_FIELDS = 2
UNIQUE = [9, 4, 8, 11, 6]          # distinct features per field
VALUES_MAX = [6, 1, 4, 2, 1]
WEIGHTED = [True, False, True, False, False]
HIDDEN = [7, 5, 3]
CASES = {'concat': dict(dims=[3, 18, 4, 2, 16], weight=1.0, seed=1),
         'sides': dict(dims=[4, 4, 4, 4, 4], weight=0.5, seed=2)}

# The other models: towers, dictionaries, further keys of [model]. All with w = 0.75.
SMALL = dict(dims=[2, 3, 2, 1, 3], weight=0.75, hidden=[5, 4])
CAUSAL = dict(cvr_weight=0.5, propensity_min=0.375)
MODELS = {
    'ctr': (['ctr'], 1, {}),
    'base': (['cvr'], 1, {}),
    'unbias': (['ctr', 'cvr'], 2, dict(unbias_clip=0.5)),
    'division': (['ctr', 'ctcvr'], 2, {}),
    'esmm-ns': (['ctr', 'cvr'], 2, {}),
    'share': (['ctr', 'cvr'], 1, {}),
    'escm2-ips': (['ctr', 'cvr'], 1, CAUSAL),
    'escm2-dr': (['ctr', 'cvr', 'error'], 1, CAUSAL),
    'dcmt': (['ctr', 'cvr', 'counter'], 1, dict(CAUSAL, counterfactual_weight=0.25)),
    'esm2': (['ctr', 'act', 'buy', 'skip'], 1, dict(behaviour_weight=0.5)),
    'chain': (['ctr', 'b1', 'b2', 'cvr'], 1, dict(behaviour_weight=0.5, behaviours=2)),
    'mmoe': (['ctr', 'cvr'], 1, dict(experts=3)),
    'ple': (['ctr', 'cvr'], 1, dict(experts=2)),
    'aitm': (['ctr', 'ctcvr'], 1, dict(calibrator_weight=0.875)),
    'ple2': (['ctr', 'cvr'], 1, dict(experts=2, levels=2)),
    'ple3': (['ctr', 'cvr'], 1, dict(experts=1, levels=3)),
}
for number, (model, (towers, dictionaries, keys)) in enumerate(MODELS.items()):
    CASES[model] = dict(SMALL, seed=3 + number, towers=towers, dictionaries=dictionaries, keys=keys)
CASES['aitm']['seed'] = 18  # one where r > p for some impressions and not for others


def make_bags(rng, count, field):
    """start, index, weight; bags of multi-valued fields may be empty, and each feature occurs."""
    low = 0 if VALUES_MAX[field] > 1 else 1
    lengths = rng.integers(low, VALUES_MAX[field] + 1, count)
    start = np.concatenate([[0], np.cumsum(lengths)])
    index = rng.integers(0, UNIQUE[field], start[-1])
    used = np.unique(index)
    index = np.searchsorted(used, index)
    weight = rng.normal(0, 1, start[-1]) if WEIGHTED[field] else np.ones(start[-1])
    return start, index, weight.astype(np.float32), len(used)


def pooled(rows, bags, members, dtype):
    """[impressions, dim]: sum of weight * row over bag members[i]."""
    start, index, weight, _ = bags
    out = []
    for bag in members:
        at = slice(start[bag], start[bag + 1])
        w = torch.tensor(weight[at], dtype=dtype)[:, None]
        out.append((rows[index[at]] * w).sum(0))
    return torch.stack(out)


def hidden(x, layers, kinks):
    for w, b in layers:
        x = torch.nn.functional.linear(x, w, b)
        kinks.append(x.abs().min().item())
        x = torch.relu(x)
    return x


def tower(x, layers, kinks):
    return torch.nn.functional.linear(hidden(x, layers[:-1], kinks), *layers[-1])[:, 0]


def attended(q1, q2, dense, kinks):
    """AITM: the second tower's last activations after attention over its own and what the first tells."""
    linear = torch.nn.functional.linear
    told = linear(q1, dense['g.w'], dense['g.b'])
    kinks.append(told.abs().min().item())
    u = torch.stack([q2, torch.relu(told)], 1)
    k, q, v = (linear(u, dense[f'{name}.w']) for name in 'kqv')
    a = torch.softmax((k * q).sum(-1) / q1.shape[1] ** 0.5, 1)
    return (a[:, :, None] * v).sum(1)


def logit(p):
    return torch.log(p) - torch.log1p(-p)


def losses(model, keys, w, z, labels, dtype):
    """From towers' logits z: logits of p_ctr and p_cvr, the terms CTR and CTCVR (or what the model has in
    its place), and the whole loss; means over the batch, literally as the papers write them."""
    bce = torch.nn.functional.binary_cross_entropy
    none = torch.zeros(len(labels), dtype=dtype)
    click, bought = (torch.tensor(labels >> k & 1, dtype=dtype) for k in (0, 1))
    both = click * bought
    p = [torch.sigmoid(x) for x in z]
    held = p[0].detach()
    ctr = bce(p[0], click)
    if model == 'ctr':
        return z[0], none, ctr, 0 * ctr, ctr
    if model == 'base':
        cvr = bce(p[0], both)
        return none, z[0], 0 * cvr, cvr, w * cvr
    if model in ('share', 'unbias', 'division'):
        m = torch.clamp(keys.get('unbias_clip', 1.0) / held, max=1) if model == 'unbias' else 1
        m = m * (1 if model == 'division' else click)
        second = (m * bce(p[1], both, reduction='none')).mean()
        return z[0], z[1], ctr, second, ctr + w * second
    if model == 'chain':
        done = [labels >> 3 & 1, labels >> 4 & 1, labels >> 1 & 1]
        total, product = ctr, p[0]
        for k in range(1, len(p)):
            reached = click * torch.tensor(np.max(done[k - 1:], 0), dtype=dtype)
            product = product * p[k]
            last = bce(product, reached)
            total = total + (w if k + 1 == len(p) else keys['behaviour_weight']) * last
        return z[0], logit(p[1] * p[2] * p[3]), ctr, last, total
    if model == 'esm2':
        acted = click * torch.tensor((labels >> 3 > 0) * 1, dtype=dtype)
        q = p[1] * p[2] + (1 - p[1]) * p[3]
        ctcvr = bce(p[0] * q, both)
        total = ctr + keys['behaviour_weight'] * bce(p[0] * p[1], acted) + w * ctcvr
        return z[0], logit(q), ctr, ctcvr, total
    if model == 'aitm':
        ctcvr = bce(p[1], both)
        above = torch.clamp(p[1] - p[0], min=0)
        assert 0 < (above > 0).sum() < len(labels)
        return z[0], z[1], ctr, ctcvr, ctr + w * ctcvr + keys['calibrator_weight'] * above.mean()
    ctcvr = bce(p[0] * p[1], both)
    total = ctr + w * ctcvr
    each = bce(p[1], both, reduction='none')
    weight = 1 / torch.clamp(held, min=keys.get('propensity_min', 1))
    if model == 'escm2-ips':
        total = total + keys['cvr_weight'] * (click * each * weight).mean()
    if model == 'escm2-dr':
        d = torch.nn.functional.softplus(z[2])
        total = total + keys['cvr_weight'] * ((d + click * (each - d) * weight).mean() +
                                              (click * (each - d) ** 2 * weight).mean())
    if model == 'dcmt':
        other = (1 - click) / torch.clamp(1 - held, min=keys['propensity_min'])
        weight = click * weight
        counter = bce(p[2], torch.ones_like(click), reduction='none')
        total = total + keys['cvr_weight'] * (
            (weight * each).sum() / weight.sum() + (other * counter).sum() / other.sum() +
            keys['counterfactual_weight'] * (1 - (p[1] + p[2])).abs().mean())
    return z[0], z[1], ctr, ctcvr, total


def own_columns(spec, tower):
    """Of the input: 1 where it is of the tower's dictionary."""
    columns = []
    for dim in spec['dims']:
        for dictionary in range(spec['dictionaries']):
            columns += [spec['dictionaries'] == 1 or dictionary == tower] * dim
    return torch.tensor(columns)


def prefix(level):
    return f'level{level}.' if level > 1 else ''


def arrays(spec, width):
    """Names, shapes and fan-in of the dense parameters."""
    towers, hidden, keys = spec.get('towers', ['ctr', 'cvr']), spec.get('hidden', HIDDEN), spec.get('keys', {})
    fan_in = width
    for k, out in enumerate(hidden + [1], 1):
        blocks = [(t, out) for t in towers]
        levels = keys.get('levels', 1) if k == 1 else 1
        for level in range(1, levels + 1):
            if k == 1 and 'experts' in keys:
                shared = keys['experts']
                every = shared if 'ple' not in spec['name'] else shared * (1 + len(towers))
                choices = shared if every == shared else 2 * shared
                at = prefix(level)
                blocks = [(f'{at}expert{j}', out) for j in range(every)]
                blocks += [(f'{at}gate.{t}', choices) for t in towers]
                blocks += [(f'{at}gate.shared', every)] if level < levels else []
            for kind in 'wb':
                for block, size in blocks:
                    yield block, kind, k, (size, fan_in) if kind == 'w' else (size,), fan_in
            fan_in = out
    if spec['name'] == 'aitm':
        for block in 'gkqv':
            yield block, 'w', '', (hidden[-1], hidden[-1]), hidden[-1]
        yield 'g', 'b', '', (hidden[-1],), hidden[-1]


def mixtures(x, dense, towers, keys, kinks):
    """The first activations of the towers, mixtures of experts: of all, or (ple) of its own and the shared
    ones, level by level. x[None] is what the shared experts read, x[t] what those of tower t do."""
    linear = torch.nn.functional.linear
    every = sum(name.startswith('expert') and name.endswith('.w1') for name in dense)
    n = keys['experts']
    own = {t: range(k * n, (k + 1) * n) if every > n else range(0) for k, t in enumerate(towers)}
    shared = range(every - n, every)
    x = {t: x for t in [*towers, None]}
    for level in range(1, keys.get('levels', 1) + 1):
        at, outputs = prefix(level), []
        for j in range(every):
            of = next((t for t in towers if j in own[t]), None)
            z = linear(x[of], dense[f'{at}expert{j}.w1'], dense[f'{at}expert{j}.b1'])
            kinks.append(z.abs().min().item())
            outputs.append(torch.relu(z))
        above = {}
        for t in x:
            gate, among = (t, [*own[t], *shared]) if t else ('shared', range(every))
            if f'{at}gate.{gate}.w1' in dense:
                g = linear(x[t], dense[f'{at}gate.{gate}.w1'], dense[f'{at}gate.{gate}.b1'])
                above[t] = torch.einsum('ij,jic->ic', torch.softmax(g, 1),
                                        torch.stack([outputs[j] for j in among]))
        x = above
    return x


def run(case, rows, dense, bags, group_of, labels, dtype):
    spec = CASES[case]
    rows = [torch.tensor(r, dtype=dtype, requires_grad=True) for r in rows]
    dense = {k: torch.tensor(v, dtype=dtype, requires_grad=True) for k, v in dense.items()}
    every = np.arange(IMPRESSIONS)
    parts = [pooled(rows[f], bags[f], group_of if f < USER_FIELDS else every, dtype)
             for f in range(len(rows))]
    if case == 'sides':
        parts = [sum(parts[:USER_FIELDS]), sum(parts[USER_FIELDS:])]
    x = torch.cat(parts, 1)
    kinks = []
    n = len(spec.get('hidden', HIDDEN)) + 1
    z, last = [], []
    towers = spec.get('towers', ['ctr', 'cvr'])
    if 'experts' in spec.get('keys', {}):
        h = mixtures(x, dense, towers, spec['keys'], kinks)
    for number, t in enumerate(towers):
        if 'experts' in spec.get('keys', {}):
            z.append(tower(h[t], [(dense[f'{t}.w{k}'], dense[f'{t}.b{k}']) for k in range(2, n + 1)],
                           kinks))
            continue
        layers = [(dense[f'{t}.w{k}'], dense[f'{t}.b{k}']) for k in range(1, n + 1)]
        if spec.get('dictionaries', 1) > 1:
            layers[0] = (layers[0][0] * own_columns(spec, number), layers[0][1])
        if 'g.w' in dense:
            h = hidden(x, layers[:-1], kinks)
            last.append(h if number == 0 else attended(last[0], h, dense, kinks))
            z.append(tower(last[number], layers[-1:], kinks))
            continue
        z.append(tower(x, layers, kinks))
    a, b, ctr, ctcvr, total = losses(case, spec.get('keys', {}), spec['weight'], z, labels, dtype)
    total.backward()
    for name, tensor in dense.items():
        if tensor.grad is None:
            raise SystemExit(f'{case}: no gradient at {name}')
    return a, b, ctr, ctcvr, rows, dense, x, min(kinks), total


def write(path, tensors):
    with open(path, 'w') as f:
        for name, values in tensors:
            values = np.asarray(values).reshape(-1)
            if values.dtype.kind == 'f':
                text = ' '.join('%.9g' % np.float32(v) for v in values)
            else:
                text = ' '.join('%d' % v for v in values)
            f.write(f'{name} {len(values)} {text}\n')


def make(case, out):
    spec = CASES[case]
    rng = np.random.default_rng(spec['seed'])
    sizes = rng.multinomial(IMPRESSIONS - GROUPS, [1 / GROUPS] * GROUPS) + 1
    group_of = np.repeat(np.arange(GROUPS), sizes)
    labels = rng.choice([0, 1, 2, 3], IMPRESSIONS, p=[0.4, 0.3, 0.1, 0.2])  # 2: no click, no count
    hidden, towers = spec.get('hidden', HIDDEN), spec.get('towers', ['ctr', 'cvr'])
    dictionaries, keys = spec.get('dictionaries', 1), spec.get('keys', {})
    if 'behaviour_weight' in keys:
        labels = labels + 8 * (labels & 1) * rng.choice(16, IMPRESSIONS, p=[0.4] + [0.04] * 15)
    bags = [make_bags(rng, GROUPS if f < USER_FIELDS else IMPRESSIONS, f)
            for f in range(len(UNIQUE))]
    rows = [rng.normal(0, 0.7, (b[3], d * dictionaries)).astype(np.float32) for b, d in zip(bags, spec['dims'])]
    width = 2 * spec['dims'][0] if case == 'sides' else dictionaries * sum(spec['dims'])
    dense = {}
    for block, kind, k, shape, fan_in in arrays(dict(spec, name=case), width):
        value = rng.normal(0, 1.5 / np.sqrt(fan_in), shape).astype(np.float32)
        if k == 1 and kind == 'w' and dictionaries > 1:
            value *= own_columns(spec, towers.index(block)).numpy()
        dense[f'{block}.{kind}{k}'] = value
    a, b, ctr, ctcvr, drows, ddense, x, kink, total = run(case, rows, dense, bags, group_of, labels,
                                                   torch.float64)
    low = run(case, rows, dense, bags, group_of, labels, torch.float32)
    for g64, g32 in zip(drows + list(ddense.values()), low[4] + list(low[5].values())):
        scale = g64.grad.abs().max().item()
        assert (g64.grad - g32.grad.double()).abs().max().item() <= 1e-4 * scale + 1e-12
    assert kink > 1e-4, f'{case}: a pre-activation is {kink}: take another seed'
    tensors = [('impressions', [IMPRESSIONS]), ('groups', [GROUPS]), ('user_fields', [USER_FIELDS]),
               ('dims', spec['dims']), ('hidden', hidden),
               ('ctcvr_weight', np.array([spec['weight']])), ('group_of', group_of),
               ('labels', labels)]
    tensors += [('model.' + key, np.array([value])) for key, value in keys.items()]
    for f, (start, index, weight, unique) in enumerate(bags):
        tensors += [(f'field{f}.unique', [unique]), (f'field{f}.start', start),
                    (f'field{f}.index', index)]
        tensors += [(f'field{f}.weight', weight)] if WEIGHTED[f] else []
        tensors += [(f'field{f}.rows', rows[f]), (f'field{f}.drows', drows[f].grad.numpy())]
    tensors += [(name, value) for name, value in dense.items()]
    tensors += [('d.' + name, ddense[name].grad.numpy()) for name in dense]
    tensors += [('x', x.detach().numpy()), ('logit_a', a.detach().numpy()),
                ('logit_b', b.detach().numpy()), ('loss_ctr', np.array([ctr.item()])),
                ('loss_ctcvr', np.array([ctcvr.item()]))]
    tensors += [('loss', np.array([total.item()]))] if 'towers' in spec else []
    write(f'{out}/golden_{case}.txt', tensors)
    print(f'{case}: loss {ctr.item():.6f}, {ctcvr.item():.6f}, in all {total.item():.6f}, '
          f'nearest kink {kink:.2e}')


if __name__ == '__main__':
    for name in CASES:
        make(name, sys.argv[1] if len(sys.argv) > 1 else '.')
