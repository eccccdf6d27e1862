#!/usr/bin/env python3
"""Writes golden_concat.txt and golden_sides.txt: one small ESMM batch each, with the loss and every
gradient as PyTorch's autograd gives them.

    python3 make_golden.py [DIR]        needs torch and numpy

The model is written the plain way: EmbeddingBag-like sums per impression without groups, two towers of
torch.nn.functional.linear and relu, and the loss from probabilities in double precision, so that it
shares no formula with worker/loss.c. Parameters are float32 numbers; gradients are computed in
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


def tower(x, layers, kinks):
    for k, (w, b) in enumerate(layers):
        x = torch.nn.functional.linear(x, w, b)
        if k + 1 < len(layers):
            kinks.append(x.abs().min().item())
            x = torch.relu(x)
    return x[:, 0]


def run(case, rows, dense, bags, group_of, labels, dtype):
    rows = [torch.tensor(r, dtype=dtype, requires_grad=True) for r in rows]
    dense = {k: torch.tensor(v, dtype=dtype, requires_grad=True) for k, v in dense.items()}
    every = np.arange(IMPRESSIONS)
    parts = [pooled(rows[f], bags[f], group_of if f < USER_FIELDS else every, dtype)
             for f in range(len(rows))]
    if case == 'sides':
        parts = [sum(parts[:USER_FIELDS]), sum(parts[USER_FIELDS:])]
    x = torch.cat(parts, 1)
    kinks = []
    n = len(HIDDEN) + 1
    a, b = (tower(x, [(dense[f'{t}.w{k}'], dense[f'{t}.b{k}']) for k in range(1, n + 1)], kinks)
            for t in ('ctr', 'cvr'))
    click = torch.tensor(labels & 1, dtype=dtype)
    both = click * torch.tensor(labels >> 1 & 1, dtype=dtype)
    p, r = torch.sigmoid(a), torch.sigmoid(a) * torch.sigmoid(b)
    bce = torch.nn.functional.binary_cross_entropy
    ctr, ctcvr = bce(p, click), bce(r, both)
    (ctr + CASES[case]['weight'] * ctcvr).backward()
    return a, b, ctr, ctcvr, rows, dense, x, min(kinks)


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
    bags = [make_bags(rng, GROUPS if f < USER_FIELDS else IMPRESSIONS, f)
            for f in range(len(UNIQUE))]
    rows = [rng.normal(0, 0.7, (b[3], d)).astype(np.float32) for b, d in zip(bags, spec['dims'])]
    width = 2 * spec['dims'][0] if case == 'sides' else sum(spec['dims'])
    dense, fan_in = {}, width
    for k, out_width in enumerate(HIDDEN + [1], 1):
        for kind, shape in (('w', (out_width, fan_in)), ('b', (out_width,))):
            for t in ('ctr', 'cvr'):
                scale = 1.5 / np.sqrt(fan_in)
                dense[f'{t}.{kind}{k}'] = rng.normal(0, scale, shape).astype(np.float32)
        fan_in = out_width
    a, b, ctr, ctcvr, drows, ddense, x, kink = run(case, rows, dense, bags, group_of, labels,
                                                   torch.float64)
    low = run(case, rows, dense, bags, group_of, labels, torch.float32)
    for g64, g32 in zip(drows + list(ddense.values()), low[4] + list(low[5].values())):
        scale = g64.grad.abs().max().item()
        assert (g64.grad - g32.grad.double()).abs().max().item() <= 1e-4 * scale + 1e-12
    assert kink > 1e-4, f'{case}: a pre-activation is {kink}: take another seed'
    tensors = [('impressions', [IMPRESSIONS]), ('groups', [GROUPS]), ('user_fields', [USER_FIELDS]),
               ('dims', spec['dims']), ('hidden', HIDDEN),
               ('ctcvr_weight', np.array([spec['weight']])), ('group_of', group_of),
               ('labels', labels)]
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
    write(f'{out}/golden_{case}.txt', tensors)
    print(f'{case}: loss {ctr.item():.6f} + {ctcvr.item():.6f}, nearest kink {kink:.2e}')


if __name__ == '__main__':
    for name in CASES:
        make(name, sys.argv[1] if len(sys.argv) > 1 else '.')
