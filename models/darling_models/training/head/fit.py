"""Fitting the head: a small ensemble on labelled pairs of all origins together.

Each pair is drawn as often as its origin is worth, and its label is softened by how often such
labels are wrong. Each labeler has a bias of their own (similar-rates run from 14 to 44 %), of which
serving uses the mean.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import nn

from darling_models.embedded.encoder import Vectors
from darling_models.embedded.head import CLIP, Network
from darling_models.progress import progress
from darling_models.protocol import FloatArray, IntArray, OperatingPoint

MIN_SCALE = 1e-2
"""Added to the standard deviation of each feature: one that hardly varies in training must not
decide in serving."""


@dataclass(frozen=True, slots=True)
class HeadRecipe:
    seeds: int = 3
    hidden: int = 64
    steps: int = 900
    batch: int = 1024
    learning_rate: float = 3e-3
    weight_decay: float = 1.0
    feature_dropout: float = 0.15
    hidden_dropout: float = 0.2


@dataclass(frozen=True, slots=True)
class Examples:
    """Pairs to fit on, of any origin."""

    features: Vectors
    """Shape (m, features)."""
    target: FloatArray
    """How probable it is that the two texts are equivalent, by their label and its worth, (m,)."""
    weight: FloatArray
    """How often each is drawn, relative to the others, shape (m,)."""
    labeler: IntArray
    """Index of the person who labelled each; the number of people where nobody in particular did,
    shape (m,)."""


def fit(
    examples: Examples,
    recipe: HeadRecipe,
    labelers: int,
    seed: int = 0,
    shown_as: str | None = None,
) -> Network:
    """The networks of `recipe.seeds` seeds, side by side in one hidden layer, averaged.

    `shown_as`: name of a progress bar; None: none is shown.
    """
    seeds = range(seed, seed + recipe.seeds)
    share = examples.weight / examples.weight.sum()
    mean = share @ examples.features
    scale = np.sqrt(share @ np.square(examples.features - mean)) + MIN_SCALE
    typical: FloatArray = np.bincount(examples.labeler, share, minlength=labelers + 1).astype(float)
    with _one_thread():
        fitted = [
            _fit_one(examples, recipe, labelers, mean, scale, own)
            for own in (progress(seeds, desc=shown_as) if shown_as else seeds)
        ]
    return Network(
        mean=mean.astype(np.float32),
        scale=scale.astype(np.float32),
        hidden_weight=np.concatenate([f.hidden.weight.detach().numpy().T for f in fitted], axis=1),
        hidden_bias=np.concatenate([f.hidden.bias.detach().numpy() for f in fitted]),
        output_weight=np.concatenate(
            [f.output.weight.detach().numpy()[0] / recipe.seeds for f in fitted]
        ),
        output_bias=np.asarray(
            [sum(f.serving_bias(typical) for f in fitted) / recipe.seeds], dtype=np.float32
        ),
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keeps torch to one thread: threads that share products as small as these wait for each
    other (on two cores, training on 60 pairs took 378 s with two threads and 70 s with one)."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def platt(
    logits: FloatArray, similar: NDArray[np.bool_], weight: FloatArray | None = None
) -> tuple[float, float]:
    """(slope, intercept) of the logistic map from held-out logits to probabilities."""
    model = LogisticRegression(C=1e3).fit(logits[:, None], similar, sample_weight=weight)
    return float(model.coef_[0, 0]), float(model.intercept_[0])


COSTS: dict[OperatingPoint, float] = {"balanced": 5 / 4, "precision": 2, "recall": 2 / 3}
"""How many wrong splits a wrong merge costs, by the threshold's name. It costs more by default: it
takes the reward from a right and distinct rollout."""


def operating_points(
    probabilities: FloatArray, similar: NDArray[np.bool_], weight: FloatArray | None = None
) -> dict[OperatingPoint, float]:
    """Thresholds of the least cost of wrong merges and wrong splits, by `COSTS`.

    They are from a grid of hundredths, smoothed over five, which keeps one lucky pair from
    deciding. `weight`: how much each pair counts, shape (m,); None: all the same.
    """
    grid = np.arange(0.05, 0.96, 0.01)
    counted = np.ones(len(similar)) if weight is None else weight
    said = probabilities[:, None] > grid
    merges = (counted * ~similar) @ said
    splits = (counted * similar) @ ~said
    kernel = np.ones(5) / 5
    points: dict[OperatingPoint, float] = {}
    for name, cost in COSTS.items():
        losses = np.convolve(np.pad(cost * merges + splits, 2, mode="edge"), kernel, "valid")
        points[name] = round(float(grid[np.argmin(losses)]), 2)
    return points


class _Net(nn.Module):
    def __init__(self, features: int, recipe: HeadRecipe, labelers: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(features, recipe.hidden)
        self.output = nn.Linear(recipe.hidden, 1)
        self.dropout = nn.Dropout(recipe.hidden_dropout)
        self.labeler = nn.Embedding(labelers + 1, 1)
        nn.init.zeros_(self.labeler.weight)

    def forward(self, x: torch.Tensor, labeler: torch.Tensor) -> torch.Tensor:
        hidden = self.dropout(nn.functional.silu(self.hidden(x)))
        logits: torch.Tensor = self.output(hidden)[:, 0] + self.labeler(labeler)[:, 0]
        return logits

    def serving_bias(self, shares: FloatArray) -> float:
        """The output's bias for a labeler of the average kind; `shares`: how often each labeler's
        pairs are drawn, and nobody's, shape (labelers + 1,)."""
        biases = self.labeler.weight.detach()[:, 0].double().numpy()
        return float(self.output.bias.detach()[0]) + float(shares @ biases)


def _fit_one(
    examples: Examples,
    recipe: HeadRecipe,
    labelers: int,
    mean: FloatArray,
    scale: FloatArray,
    seed: int,
) -> _Net:
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    standard = np.clip((examples.features - mean) / scale, -CLIP, CLIP)
    features = torch.from_numpy(standard.astype(np.float32))
    targets = torch.from_numpy(examples.target.astype(np.float32))
    labeler = torch.from_numpy(examples.labeler)
    until = np.cumsum(examples.weight / examples.weight.sum())
    net = _Net(features.shape[1], recipe, labelers)
    biases = list(net.labeler.parameters())
    weights = [*net.hidden.parameters(), *net.output.parameters()]
    optimizer = torch.optim.AdamW(
        [
            {"params": weights, "weight_decay": recipe.weight_decay},
            {"params": biases, "weight_decay": 0.02},
        ],
        lr=recipe.learning_rate,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, total_steps=recipe.steps, pct_start=0.1
    )
    for _ in range(recipe.steps):
        drawn = np.searchsorted(until, random.random(recipe.batch)).clip(max=len(until) - 1)
        i = torch.from_numpy(drawn)
        x, y, who = features[i], targets[i], labeler[i]
        x = x * (torch.rand(x.shape) > recipe.feature_dropout)
        loss = nn.functional.binary_cross_entropy_with_logits(net(x, who), y)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
    return net.eval()
