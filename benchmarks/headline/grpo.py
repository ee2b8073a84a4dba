"""Trains one policy with TRL's GRPOTrainer, taking every reward from the service over HTTP.

    DARLING_URL=http://... python -m benchmarks.headline.grpo OBJECTIVE SEED SETTINGS.json FOLDER

It starts from the seed's warm policy, runs in TRL's environment and leaves
`FOLDER/OBJECTIVE-SEED.json`.
"""

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import LlamaForCausalLM, TrainerCallback, set_seed
from trl import GRPOConfig, GRPOTrainer

from benchmarks.headline.countdown import Problem, canonical, correct, parsed
from benchmarks.headline.objectives import OBJECTIVES, Compared
from benchmarks.headline.policy import LENGTH, sampled, tokenizer
from benchmarks.headline.settings import Settings
from darling_client.trainers.trl import DarlingReward


def quality(prompts: Sequence[str], completions: Sequence[str], **columns: Any) -> list[float]:
    """1 for a correct expression, else 0. A text and its normal form have the same quality."""
    return [
        float(correct(*parsed(prompt), text))
        for prompt, text in zip(prompts, completions, strict=True)
    ]


class Reward(DarlingReward):
    def __init__(self, compared: Compared, n: int) -> None:
        super().__init__(quality, n, run="headline", **compared.asked)
        self.normal_form = compared.normal_form

    def __call__(  # type: ignore[override]
        self, prompts: Sequence[str], completions: Sequence[str], **columns: Any
    ) -> list[float | None]:
        texts = [canonical(text) for text in completions] if self.normal_form else completions
        return super().__call__(prompts, texts, **columns)


class Watch(TrainerCallback):
    """Samples the held-out problems every `every` steps."""

    def __init__(self, problems: Sequence[Problem], n: int, every: int) -> None:
        self.problems, self.n, self.every = problems, n, every
        self.seen: list[dict[str, Any]] = []

    def on_step_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        if state.global_step % self.every == 0:
            self.look(given["model"], state.global_step)

    def look(self, model: Any, step: int) -> None:
        found = strategies(model, self.problems, self.n)
        self.seen.append({"step": step, "strategies": found, "samples": self.n})


def strategies(model: Any, problems: Sequence[Problem], n: int) -> list[list[int]]:
    """For each problem, the counts of its correct strategies among n samples, in falling order."""
    training = model.training
    model.eval()
    found = []
    every = sampled(model, [problem.prompt for problem in problems], n)
    for problem, texts in zip(problems, every, strict=True):
        right = [canonical(t) for t in texts if correct(problem.numbers, problem.target, t)]
        found.append(sorted((right.count(r) for r in set(right)), reverse=True))
    model.train(training)
    return found


def train(objective: str, seed: int, settings: Settings, folder: Path) -> dict[str, Any]:
    compared = OBJECTIVES[objective]
    training, held_out = settings.split(seed)
    model = LlamaForCausalLM.from_pretrained(folder / f"warm-{seed}")
    watch = Watch(held_out, settings.watched_samples, settings.watch_every)
    set_seed(seed)
    with tempfile.TemporaryDirectory() as output:
        trainer = GRPOTrainer(
            model=model,
            processing_class=tokenizer(),
            reward_funcs=Reward(compared, settings.group),
            train_dataset=Dataset.from_dict(
                {"prompt": [p.prompt for p in training[: settings.trained]]}
            ),
            callbacks=[watch],
            args=GRPOConfig(
                output_dir=output,
                seed=seed,
                num_generations=settings.group,
                per_device_train_batch_size=settings.prompts * settings.group,
                gradient_accumulation_steps=1,
                steps_per_generation=1,
                max_completion_length=LENGTH,
                max_steps=settings.steps,
                learning_rate=settings.rate,
                lr_scheduler_type="constant_with_warmup",
                warmup_steps=10,
                scale_rewards="none",  # DARLING's advantage: reward - group mean
                beta=0.0,
                loss_type="dr_grpo",
                logging_steps=1,
                save_strategy="no",
                report_to=[],
                disable_tqdm=True,
                use_cpu=True,
                bf16=False,
                gradient_checkpointing=False,
            ),
        )
        started = time.monotonic()
        trainer.train()
        seconds = time.monotonic() - started
    logged = [row for row in trainer.state.log_history if "entropy" in row]
    watch.look(model, settings.steps)
    set_seed(seed)
    final = strategies(model, held_out, settings.samples)
    return {
        "objective": objective,
        "seed": seed,
        "seconds": round(seconds),
        "samples": settings.samples,
        "strategies": final,
        "watched": watch.seen,
        "training": {
            name: [round(float(row[name]), 4) for row in logged if name in row]
            for name in ("entropy", "reward", "darling/quality", "darling/diversity", "grad_norm")
        },
    }


def main() -> None:
    objective, seed, settings, folder = sys.argv[1], int(sys.argv[2]), *map(Path, sys.argv[3:5])
    found = train(objective, seed, Settings.read(settings), folder)
    target = folder / f"{objective}-{seed}.json"
    partial = target.with_suffix(".partial")
    partial.write_text(json.dumps(found))
    partial.rename(target)


if __name__ == "__main__":
    main()
