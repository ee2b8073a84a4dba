"""Tuning the encoder's upper layers on labelled groups, with the Hugging Face trainer.

The trainer brings the progress bar, checkpoints that resume, and early stopping on the loss over
prompts kept aside. What is tuned is a `Tuned`: a few layers, a projection and a salience.
"""

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
from darling_models.training.encoder.examples import LabelledGroups, steps
from darling_models.training.encoder.late_interaction import LateInteraction
from darling_models.training.trainer import last_checkpoint, trainer_arguments

EVALUATIONS = 8
"""Times a run saves a checkpoint and, with prompts kept aside, measures the loss on them."""


@dataclass(frozen=True, slots=True)
class TuningRecipe:
    layers: int = 4
    """How many of the encoder's upper layers are trained."""
    steps: int = 200
    teacher: int = 2
    """Groups of a teacher in each step."""
    human: int = 4
    """Pairs judged by people in each step."""
    made_up: int = 1
    """Prompts whose made-up short pairs are in each step."""
    human_share: float = 0.5
    """Share of people's pairs in the loss, whatever their number."""
    learning_rate: float = 1e-4
    projection_rate: float = 1e-3
    logit_rate: float = 3e-2
    weight_decay: float = 0.01
    warmup: float = 0.08
    smoothing: float = 0.05
    kept_aside: float = 0.0
    """Share of people's prompts on which the loss is measured, to stop early."""
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
    groups: LabelledGroups,
    recipe: TuningRecipe,
    seed: int,
    folder: Path,
) -> Tuned:
    """Trains a copy of the encoder; checkpoints go to `folder`, from which a rerun continues.

    `lexicon` is of the encoder as it is: its projection is where training starts. With prompts
    kept aside, the weights with the least loss on them are the ones returned.
    """
    labelled = [(group.prompt, bool(group.same[0])) for group in groups.human]
    held = kept_aside(labelled, recipe.kept_aside, seed)
    aside = [group for group in groups.human if group.prompt in held]
    groups = groups.without(held)
    people = sorted({g.labeler for g in groups.human if g.labeler is not None})
    labelers: dict[str | None, int] = {name: k for k, name in enumerate([*people, None])}
    torch.manual_seed(seed)
    model = LateInteraction(
        deepcopy(encoder.module), lexicon.token_mean, lexicon.projection, len(labelers)
    )
    trained = _choose(model, recipe)
    random = np.random.default_rng(seed)
    origins = (
        (groups.teacher, recipe.teacher),
        (groups.human, recipe.human),
        (groups.made_up, recipe.made_up),
    )
    evaluated = [aside[k : k + recipe.human] for k in range(0, len(aside), recipe.human)]
    collator = Collator(encoder, lexicon.idf, labelers, recipe.smoothing, recipe.human_share)
    trainer = Trainer(
        model=model,
        args=trainer_arguments(
            folder,
            steps=recipe.steps,
            warmup=recipe.warmup,
            evaluations=EVALUATIONS,
            evaluated=bool(evaluated),
            seed=seed,
            device=encoder.device,
        ),
        train_dataset=steps(origins, recipe.steps, random),
        eval_dataset=evaluated or None,
        data_collator=cast(Any, collator),
        optimizers=(torch.optim.AdamW(trained), None),
        callbacks=[EarlyStoppingCallback(recipe.patience)] if evaluated else None,
    )
    trainer.train(resume_from_checkpoint=last_checkpoint(folder))
    return _tuned(model.train(False), lexicon)


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
