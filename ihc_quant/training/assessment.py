"""How good a network is while it trains, and what its card may say when it is done."""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from torch import nn
from ihc_quant.cells.peaks import find_peaks
from ihc_quant.network.architecture import normalise
from ihc_quant.training.field import TrainingField


def quick_scores(network: nn.Module, fields: Sequence[TrainingField], pixel_um: float) -> dict[str, float]:
    device = next(network.parameters()).device
    out = {}
    for source in sorted({f.source for f in fields}):
        tp = np.zeros(2)
        np_ = np.zeros(2)
        nt = np.zeros(2)
        for f in fields:
            if f.source != source or f.points_px is None:
                continue
            h, w = f.rgb.shape[:2]
            rgb = np.pad(f.rgb, ((0, -h % 16), (0, -w % 16), (0, 0)), constant_values=255)
            with torch.no_grad():
                m = (
                    torch.sigmoid(network(normalise(torch.from_numpy(rgb)[None].to(device))))[0]
                    .cpu()
                    .numpy()[:, :h, :w]
                )
            pk = find_peaks(np.ascontiguousarray(m[0]), 0.35, 6.0)
            xy = np.column_stack([pk.col + 0.5, pk.row + 0.5])
            pad = np.pad(m[2], 3, mode="edge")
            p = np.array([pad[r + 1 : r + 6, c + 1 : c + 6].mean() for r, c in zip(pk.row, pk.col)])
            ins = f.valid[pk.row, pk.col] if len(pk) else np.zeros(0, bool)
            for k in (0, 1):
                a = xy[(p >= 0.5) == k]
                ai = ins[(p >= 0.5) == k]
                b = f.points_px[f.calls == k]
                inb = np.array([f.valid[min(h - 1, max(0, int(y))), min(w - 1, max(0, int(x)))] for x, y in b], bool)
                b = b[inb]
                nt[k] += len(b)
                if len(a) and len(b):
                    d = cdist(a, b) * pixel_um
                    i, j = linear_sum_assignment(np.where(d <= 4, d, 1e4))
                    ok = d[i, j] <= 4
                    tp[k] += ok.sum()
                    matched = np.zeros(len(a), bool)
                    matched[i[ok]] = True
                    np_[k] += (ai | matched).sum()
                else:
                    np_[k] += ai.sum()
        f1 = 2 * tp / np.maximum(1, np_ + nt)
        out[f"{source}_negative_f1"] = float(round(f1[0], 4))
        if nt[1]:
            out[f"{source}_positive_f1"] = float(round(f1[1], 4))
    out["mean"] = float(np.mean(list(out.values())))
    return out


def finish_weights(*a: object) -> None:
    raise NotImplementedError
