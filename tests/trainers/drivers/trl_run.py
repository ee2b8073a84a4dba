"""The example's GRPO run, with every call of its reward function written down, a file per rank.

trl_run.py FOLDER PER_DEVICE N STEPS [async]
"""

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trl_grpo import quality, train

from darling_client import Client
from darling_client.trainers.trl import AsyncDarlingReward, DarlingReward

folder, per_device, n, steps = Path(sys.argv[1]), *map(int, sys.argv[2:5])
record = folder / f"rank-{os.environ.get('RANK', '0')}.jsonl"


def noted(prompts: Sequence[Any], completions: Sequence[Any], rewards: Any) -> Any:
    row = {"prompts": prompts, "completions": completions, "rewards": rewards}
    with record.open("a") as file:
        file.write(json.dumps(row) + "\n")
    return rewards


class Recorded(DarlingReward):
    def __call__(  # type: ignore[override]
        self, prompts: Sequence[Any], completions: Sequence[Any], **columns: Any
    ) -> Any:
        return noted(prompts, completions, super().__call__(prompts, completions, **columns))


class AsyncRecorded(AsyncDarlingReward):
    async def __call__(  # type: ignore[override]
        self, prompts: Sequence[Any], completions: Sequence[Any], **columns: Any
    ) -> Any:
        return noted(prompts, completions, await super().__call__(prompts, completions, **columns))


reward = (AsyncRecorded if "async" in sys.argv else Recorded)(
    quality,
    num_generations=n,
    num_generations_eval=1,
    client=Client(patience_s=float(os.environ.get("PATIENCE_S", "600")), connect_timeout_s=1),
    run="trl",
)
trainer = train(reward, str(folder / "out"), steps, per_device, n)
evaluated = trainer.evaluate()
if trainer.accelerator.is_main_process:
    print()
    print(json.dumps({"log": trainer.state.log_history, "evaluated": evaluated}))
# Threads of a process group that still stands when Python ends may abort the process, or hang it.
trainer.accelerator.end_training()
time.sleep(1)
