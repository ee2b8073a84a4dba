"""The settings of the Hugging Face trainer: ready-made batches, resumed runs, no reporting."""

import sys
from pathlib import Path
from typing import Any

from transformers import TrainingArguments
from transformers.trainer_utils import get_last_checkpoint


def trainer_arguments(
    folder: Path,
    *,
    steps: int,
    warmup: float,
    evaluations: int,
    evaluated: bool,
    seed: int,
    device: str,
    **more: Any,
) -> TrainingArguments:
    """`evaluations`: how often a checkpoint is saved and, if `evaluated`, the loss measured.

    A data set's items are whole batches. If evaluated, the best weights are loaded at the end.
    """
    every = max(steps // evaluations, 1)
    return TrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=1,
        per_device_eval_batch_size=1,
        warmup_steps=int(warmup * steps),
        bf16=True,
        use_cpu=device == "cpu",
        seed=seed,
        save_steps=every,
        save_total_limit=1,
        eval_strategy="steps" if evaluated else "no",
        eval_steps=every,
        load_best_model_at_end=evaluated,
        restore_callback_states_from_checkpoint=True,
        prediction_loss_only=True,
        label_names=["labels"],
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        logging_steps=every,
        report_to=[],
        disable_tqdm=not sys.stderr.isatty(),
        **more,
    )


def last_checkpoint(folder: Path) -> str | None:
    """The folder of the checkpoint from which an interrupted run goes on; None at the start."""
    kept = get_last_checkpoint(folder) if folder.exists() else None  # type: ignore[no-untyped-call]
    return None if kept is None else str(kept)
