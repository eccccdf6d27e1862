#!/usr/bin/env python3
"""One ESMM of another program, trained on a log in Ali-CCP's format and measured on the way:

    peers.py --program torch|deepctr|rechub --train DIR --eval DIR [--lr 1e-3] [--epochs 3] [--batch 2048] [option...]

DIR holds sample_skeleton.csv and common_features.csv with one value a field (scripts/first_values.py). bench/peers_run.py
runs this one time after the other and compares. Every --every impressions and after every epoch prints a line of JSON:
program, lr, epoch, impressions, seconds, cpu_s, auc_ctr (all impressions), auc_cvr (clicked), auc_ctcvr (all; a conversion
counts after a click). The clock stands while the log is read, the model built and the evaluation computed. What it
measures: rows gathered into a batch, forward, backward, update; the order is drawn anew each epoch, row by row.

torch    a program of our own in plain PyTorch: one nn.Embedding for all fields, two towers of Linear and relu, losses in
         logit space; SparseAdam for the embedding (--beta1: its momentum), Adam for the towers (--dense: Adam for
         all). Embeddings start with standard deviation 0.001, which suits it better than 0.01 (docs/quality.md).
deepctr  deepctr_torch.models.multitask.ESMM with the loss of its fit(): binary cross entropy, summed, and its L2 term.
rechub   torch_rechub.models.multi_task.ESMM with the loss of its MTLTrainer, and that one's default weight decay. Its
         towers have batch normalisation; that cannot be turned off.

The models are the libraries' own, as are initial values and regularisation unless an option says otherwise. The loop is
ours: their trainers cannot stop the clock. Batches are columns gathered with one call, which is faster than the
DataLoader that both would use. Needs numpy, torch, and the library (scripts/bench.sh says what to install).
"""
import argparse
import json
import os
import resource
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

EVAL_BATCH = 8192


# --- the log -----------------------------------------------------------------------------------------------

class Fields:
    """Texts to numbers: of each field's ids from 1 on, in the order of their appearance; 0 is an absent value."""

    def __init__(self):
        self.columns = {}  # name: column
        self.ids = []      # by column: text to number
        self.users = set()

    def encode(self, features, row):
        for feature in features.split("\x01"):
            field, _, rest = feature.partition("\x02")
            column = self.columns.setdefault(field, len(self.columns))
            if column == len(self.ids):
                self.ids.append({})
            ids = self.ids[column]
            row[column] = ids.setdefault(rest.partition("\x03")[0], len(ids) + 1)

    def sizes(self):
        return [len(ids) + 1 for ids in self.ids]


def load(directory, fields, columns_max=64):
    """Rows of ids (impressions, columns) and of labels (impressions, 2): click, conversion after a click."""
    users, user_rows, items, groups, labels = {}, [], [], [], []
    with open(os.path.join(directory, "common_features.csv")) as f:
        for line in f:
            index, _, features = line.rstrip("\n").split(",", 2)
            users[index] = len(user_rows)
            user_rows.append(row := np.zeros(columns_max, np.int32))
            fields.encode(features, row)
    fields.users = fields.users or set(fields.columns)
    with open(os.path.join(directory, "sample_skeleton.csv")) as f:
        for line in f:
            _, click, conversion, index, _, features = line.rstrip("\n").split(",", 5)
            labels.append((click == "1", click == "1" and conversion == "1"))
            groups.append(users[index])
            items.append(row := np.zeros(columns_max, np.int32))
            fields.encode(features, row)
    rows = np.stack(items)
    rows += np.stack(user_rows)[groups]
    return rows, np.array(labels, np.float32)


# --- the programs -------------------------------------------------------------------------------------------

class Torch(nn.Module):
    """Ids of all fields in one table, a column's after those of the columns before it."""

    def __init__(self, args, fields):
        super().__init__()
        sizes = fields.sizes()
        self.register_buffer("offsets", torch.tensor(np.concatenate(([0], np.cumsum(sizes)[:-1])))[:, None])
        self.embedding = nn.Embedding(sum(sizes), args.dim, sparse=not args.dense)
        nn.init.normal_(self.embedding.weight, 0, 0.001 if args.init_std is None else args.init_std)
        self.ctr, self.cvr = (self.tower(len(sizes) * args.dim, args.towers) for _ in range(2))
        towers = [*self.ctr.parameters(), *self.cvr.parameters()]
        table = (torch.optim.Adam if args.dense else torch.optim.SparseAdam)(
            self.embedding.parameters(), args.lr, betas=(args.beta1, 0.999))
        self.optimizers = [table, torch.optim.Adam(towers, args.lr)]

    @staticmethod
    def tower(width, hidden):
        layers = []
        for h in hidden:
            layers += [nn.Linear(width, h), nn.ReLU()]
            width = h
        return nn.Sequential(*layers, nn.Linear(width, 1))

    def prepare(self, ids):
        return torch.from_numpy(np.ascontiguousarray(ids.T, np.int64)) + self.offsets

    def logits(self, columns):
        x = self.embedding(columns.T).flatten(1)
        return self.ctr(x).squeeze(1), self.cvr(x).squeeze(1)

    def loss(self, columns, labels):
        ctr, cvr = self.logits(columns)
        log_p = F.logsigmoid(ctr) + F.logsigmoid(cvr)
        log_not = torch.log(-torch.expm1(log_p.clamp(max=-1e-7)))
        conversion = labels[:, 1]
        return F.binary_cross_entropy_with_logits(ctr, labels[:, 0]) - \
            (conversion * log_p + (1 - conversion) * log_not).mean()

    def predict(self, columns):
        ctr, cvr = (logit.sigmoid() for logit in self.logits(columns))
        return ctr, ctr * cvr


class DeepCtr(nn.Module):
    def __init__(self, args, fields):
        from deepctr_torch.inputs import SparseFeat
        from deepctr_torch.models.multitask import ESMM
        super().__init__()
        columns = [SparseFeat(f"f{name}", size, embedding_dim=args.dim)
                   for name, size in zip(fields.columns, fields.sizes())]
        options = {} if args.init_std is None else {"init_std": args.init_std}
        if args.decay is not None:
            options["l2_reg_embedding"] = args.decay
        self.model = ESMM(columns, tower_dnn_hidden_units=args.towers, seed=args.seed, **options)
        self.optimizers = [torch.optim.Adam(self.model.parameters(), args.lr)]

    @staticmethod
    def prepare(ids):
        """Its fit() makes floats of all input, ids too."""
        return torch.from_numpy(np.ascontiguousarray(ids.T, np.float32))

    def loss(self, columns, labels):
        p = self.model(columns.T)
        losses = [F.binary_cross_entropy(p[:, k], labels[:, k], reduction="sum") for k in range(2)]
        return sum(losses) + self.model.get_regularization_loss().squeeze()

    def predict(self, columns):
        p = self.model(columns.T)
        return p[:, 0], p[:, 1]


class Rechub(nn.Module):
    def __init__(self, args, fields):
        from torch_rechub.basic.features import SparseFeature
        from torch_rechub.basic.initializers import RandomNormal
        from torch_rechub.models.multi_task import ESMM
        super().__init__()
        options = {} if args.init_std is None else {"initializer": RandomNormal(0, args.init_std)}
        features = {name: SparseFeature(f"f{name}", size, embed_dim=args.dim, **options)
                    for name, size in zip(fields.columns, fields.sizes())}
        tower = {"dims": args.towers}
        self.names = [f"f{name}" for name in fields.columns]
        self.model = ESMM([f for name, f in features.items() if name in fields.users],
                          [f for name, f in features.items() if name not in fields.users], tower, tower)
        decay = 1e-5 if args.decay is None else args.decay
        self.optimizers = [torch.optim.Adam(self.model.parameters(), args.lr, weight_decay=decay)]

    @staticmethod
    def prepare(ids):
        return torch.from_numpy(np.ascontiguousarray(ids.T, np.int64))

    def loss(self, columns, labels):
        p = self.model(dict(zip(self.names, columns)))
        return F.binary_cross_entropy(p[:, 1], labels[:, 0]) + F.binary_cross_entropy(p[:, 2], labels[:, 1])

    def predict(self, columns):
        p = self.model(dict(zip(self.names, columns)))
        return p[:, 1], p[:, 2]


PROGRAMS = {"torch": Torch, "deepctr": DeepCtr, "rechub": Rechub}


# --- figures -------------------------------------------------------------------------------------------------

def auc(scores, positive):
    """The share of pairs in the right order; equal scores count half."""
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    p = int(positive.sum())
    n = len(scores) - p
    return float((ranks[positive].sum() - p * (p + 1) / 2) / (p * n)) if p and n else None


def evaluate(model, columns, labels):
    model.eval()
    parts = []
    with torch.no_grad():
        for start in range(0, len(labels), EVAL_BATCH):
            parts.append(torch.stack(model.predict(columns[:, start:start + EVAL_BATCH])).double().numpy())
    model.train()
    ctr, ctcvr = np.concatenate(parts, 1)
    click, conversion = labels[:, 0] > 0, labels[:, 1] > 0
    clicked = np.flatnonzero(click)
    cvr = ctcvr[clicked] / np.maximum(ctr[clicked], 1e-38)
    return dict(auc_ctr=auc(ctr, click), auc_cvr=auc(cvr, conversion[clicked]), auc_ctcvr=auc(ctcvr, conversion))


def reached(best, figures, targets):
    """Notes the best of each figure; whether all targets have been reached."""
    for name, value in figures.items():
        best[name] = max(best.get(name, 0), value or 0)
    return bool(targets) and all(best[f"auc_{name}"] >= float(value) for name, value in targets)


class Clock:
    """Wall and CPU seconds between start and stop, summed."""

    def __init__(self):
        self.seconds = np.zeros(2)

    def start(self):
        self.began = np.array([time.perf_counter(), time.process_time()])

    def stop(self):
        self.seconds += np.array([time.perf_counter(), time.process_time()]) - self.began
        return self.seconds.round(3).tolist()


def train(model, columns, labels, args, say):
    """Calls say(epoch, impressions, seconds, cpu_s) at every evaluation; it returns whether to stop."""
    order_of, clock = np.random.default_rng(args.seed), Clock()
    done, due = 0, args.every
    model.train()
    for epoch in range(args.epochs):
        clock.start()
        order = torch.from_numpy(order_of.permutation(labels.shape[0]))
        for batch in order.split(args.batch):
            loss = model.loss(columns[:, batch], labels[batch])
            for optimizer in model.optimizers:
                optimizer.zero_grad()
            loss.backward()
            for optimizer in model.optimizers:
                optimizer.step()
            done += len(batch)
            if done >= due or done % len(labels) == 0:
                if say(epoch, done, *clock.stop()):
                    return
                due += args.every if done >= due else 0
                clock.start()


def arguments():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--program", required=True, choices=PROGRAMS)
    ap.add_argument("--train", required=True, help="directory of the raw log")
    ap.add_argument("--eval", required=True, help="directory of the held-out log")
    ap.add_argument("--lr", type=float, default=1e-3)
    ap.add_argument("--epochs", type=int, default=3)
    ap.add_argument("--batch", type=int, default=2048)
    ap.add_argument("--dim", type=int, default=18)
    ap.add_argument("--towers", type=lambda s: [int(x) for x in s.split(",")], default=[360, 200, 80])
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--every", type=int, default=100000, help="impressions from evaluation to evaluation")
    ap.add_argument("--targets", default="", help="stop when all are reached: ctr:0.73,ctcvr:0.83")
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--dense", action="store_true", help="torch: Adam for the embedding, too")
    ap.add_argument("--beta1", type=float, default=0.9, help="torch: of the embedding's optimizer; 0: no momentum")
    ap.add_argument("--init-std", type=float, help="of embeddings (deepctr: of towers too), instead of the program's own")
    ap.add_argument("--decay", type=float, help="deepctr, rechub: L2 strength, instead of the program's own")
    return ap.parse_args()


def main():
    args = arguments()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    fields = Fields()
    ids, labels = load(args.train, fields)
    eval_ids, eval_labels = load(args.eval, fields)
    width = len(fields.columns)
    model = PROGRAMS[args.program](args, fields)
    columns, eval_columns = model.prepare(ids[:, :width]), model.prepare(eval_ids[:, :width])
    targets = [t.split(":") for t in args.targets.split(",") if t]
    best = {}

    def say(epoch, impressions, seconds, cpu_s):
        figures = evaluate(model, eval_columns, eval_labels)
        print(json.dumps(dict(program=args.program, lr=args.lr, epoch=epoch, impressions=impressions,
                              seconds=seconds, cpu_s=cpu_s, **figures,
                              peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)), flush=True)
        return reached(best, figures, targets)

    train(model, columns, torch.from_numpy(labels), args, say)


if __name__ == "__main__":
    main()
