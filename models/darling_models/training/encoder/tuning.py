"""Tuning the encoder's layers on labelled groups, with the Hugging Face trainer.

The trainer brings the progress bar, checkpoints that resume, and early stopping on the loss over
prompts kept aside. What is tuned is a `Tuned`: layers, a projection and a salience.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from transformers import EarlyStoppingCallback, Trainer

from darling_models.embedded.encoder import TextEncoder
from darling_models.embedded.late_interaction import Lexicon
from darling_models.labelled_data import kept_aside
from darling_models.training.encoder.batch import Collator
from darling_models.training.encoder.late_interaction import LateInteraction
from darling_models.training.encoder.steps import steps
from darling_models.training.labelled_groups import LabelledGroup, fold_keys
from darling_models.training.trainer import last_checkpoint, trainer_arguments

EVALUATIONS = 8
"""Times a run saves a checkpoint and, with prompts kept aside, measures the loss on them."""


@dataclass(frozen=True, slots=True)
class TuningRecipe:
    layers: int = 6
    """How many of the encoder's upper layers are trained; MiniLM has six."""
    steps: int = 600
    groups: int = 12
    """Labelled groups in each step, drawn by their sources' shares."""
    learning_rate: float = 1e-4
    projection_rate: float = 1e-3
    logit_rate: float = 3e-2
    weight_decay: float = 0.01
    warmup: float = 0.08
    kept_aside: float = 0.0
    """Share of the prompts on which the loss is measured, to stop early."""
    patience: int = 3
    """Evaluations without a lower loss before training ends."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """What tuning changes: layers of the encoder, and the lexicon's projection and salience."""

    layers: dict[str, torch.Tensor]
    """The tuned weights by their names in the encoder, in half precision."""
    lexicon: Lexicon


def tune(
    encoder: TextEncoder,
    lexicon: Lexicon,
    groups: Sequence[LabelledGroup],
    shares: Mapping[int, float],
    recipe: TuningRecipe,
    seed: int,
    folder: Path,
) -> Tuned:
    """Trains a copy of the encoder; checkpoints go to `folder`, from which a rerun continues.

    `lexicon` is of the encoder as it is: its projection is where training starts. `shares`: how
    often each source's groups are drawn. With prompts kept aside, the weights with the least loss
    on them are the ones returned.
    """
    aside, taught = apart(groups, recipe.kept_aside, seed)
    people = sorted({g.labeler for g in groups if g.labeler is not None})
    labelers: dict[str | None, int] = {name: k for k, name in enumerate([*people, None])}
    torch.manual_seed(seed)
    model = LateInteraction(
        deepcopy(encoder.module), lexicon.token_mean, lexicon.projection, len(labelers)
    )
    trained = _choose(model, recipe)
    random = np.random.default_rng(seed)
    trainer = Trainer(
        model=model,
        args=trainer_arguments(
            folder,
            steps=recipe.steps,
            warmup=recipe.warmup,
            evaluations=EVALUATIONS,
            evaluated=bool(aside),
            seed=seed,
            device=encoder.device,
        ),
        train_dataset=steps(taught, shares, recipe.steps, recipe.groups, random),
        eval_dataset=[aside[k : k + recipe.groups] for k in range(0, len(aside), recipe.groups)]
        or None,
        data_collator=cast(Any, Collator(encoder, lexicon.idf, labelers)),
        optimizers=(torch.optim.AdamW(trained), None),
        callbacks=[EarlyStoppingCallback(recipe.patience)] if aside else None,
    )
    trainer.train(resume_from_checkpoint=last_checkpoint(folder))
    return _tuned(model.train(False), lexicon)


def apart(
    groups: Sequence[LabelledGroup], share: float, seed: int
) -> tuple[list[LabelledGroup], list[LabelledGroup]]:
    """The groups of about `share` of the prompts, and the others."""
    keys = fold_keys(groups)
    labelled = [
        (key, same)
        for key, group in zip(keys, groups, strict=True)
        for same in np.unique(group.same).tolist()
    ]
    held = kept_aside(labelled, share, seed)
    aside = [group for group, key in zip(groups, keys, strict=True) if key in held]
    return aside, [group for group, key in zip(groups, keys, strict=True) if key not in held]


def _choose(model: LateInteraction, recipe: TuningRecipe) -> list[dict[str, Any]]:
    """The parameters that are trained, by their rates; all others are frozen."""
    for parameter in model.encoder.parameters():
        parameter.requires_grad_(False)
    upper = list(model.encoder.encoder.layer[-recipe.layers :].parameters())
    for parameter in upper:
        parameter.requires_grad_(True)
    projection = [*model.projection.parameters(), *model.salience.parameters()]
    logit = [
        *(*model.logit.parameters(), *model.pooled_logit.parameters()),
        *model.labeler.parameters(),
    ]
    decay = {"params": upper, "lr": recipe.learning_rate, "weight_decay": recipe.weight_decay}
    return [
        decay,
        {"params": projection, "lr": recipe.projection_rate, "weight_decay": 0.0},
        {"params": logit, "lr": recipe.logit_rate, "weight_decay": 0.0},
    ]


def _tuned(model: LateInteraction, lexicon: Lexicon) -> Tuned:
    """What was tuned, rounded to halves here, so that features in training are those of serving."""
    layers = {
        name: parameter.detach().half().cpu().contiguous()
        for name, parameter in model.encoder.named_parameters()
        if parameter.requires_grad
    }
    weight = model.projection.weight.detach().double().cpu().numpy()
    bias = model.projection.bias.detach().double().cpu().numpy()
    # (vector - mean) @ projection with the trained bias; the mean is any solution of it.
    mean = -np.linalg.lstsq(weight, bias, rcond=None)[0]
    salience = torch.cat([model.salience.weight.detach()[0], model.salience.bias.detach()])
    return Tuned(
        layers,
        replace(
            lexicon,
            token_mean=mean.astype(np.float32),
            projection=np.ascontiguousarray(weight.T, dtype=np.float32),
            salience=salience.cpu().numpy().astype(np.float32),
        ),
    )
