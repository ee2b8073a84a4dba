"""verl from 0.7.1 on, whose reward managers see one rollout at a time.

    reward.reward_manager.source=importlib
    reward.reward_manager.name=DarlingRewardManager
    reward.reward_manager.module.path=pkg://darling_client.trainers.verl
    +reward.darling.url=http://reward:8000

The siblings of a prompt reach different workers on different nodes; they meet in the service.
"""

from __future__ import annotations

import uuid
from typing import Any

from omegaconf import OmegaConf
from verl.experimental.reward_loop.reward_manager.naive import NaiveRewardManager

from darling_client import AsyncClient, CohortRollout, Rollout
from darling_client.trainers._batch import ADVANTAGE

CLIENT_OPTIONS = ("token", "patience_s", "timeout_s")
ASKED = ("reward", "partition", "model")
VALIDATION = ("test", "val", "eval", "dev")
"""What the names of validation splits begin with."""


class DarlingRewardManager(NaiveRewardManager):  # type: ignore[misc]
    """Quality times diversity; the quality is what the naive manager returns, by `compute_score`.

    `reward.darling` may hold `url`, `token`, `patience_s`, `timeout_s`, `deadline_s`, and `reward`,
    `partition`, `model` as in a request. Raises `DarlingError`, by which verl marks the prompt as
    failed.
    """

    def __init__(self, config: Any, tokenizer: Any, compute_score: Any, **more: Any) -> None:
        super().__init__(config, tokenizer, compute_score, **more)
        given: Any = OmegaConf.to_container(
            config.reward.get("darling") or OmegaConf.create(), resolve=True
        )
        if unknown := sorted(set(given) - {"url", "deadline_s", *CLIENT_OPTIONS, *ASKED}):
            raise ValueError(
                f"reward.darling has unknown {', '.join(unknown)}; options of the reward itself "
                "belong into reward.darling.reward"
            )
        if (given.get("reward") or {}).get("advantage") is not None:
            raise ValueError(ADVANTAGE)
        self._client = AsyncClient(
            given.get("url"), **{name: given[name] for name in CLIENT_OPTIONS if name in given}
        )
        self._deadline_s = given.get("deadline_s")
        self._asked = {name: given[name] for name in ASKED if name in given}
        self._run = str(config.trainer.get("experiment_name") or "verl")

    async def run_single(self, data: Any) -> dict[str, Any]:
        judged = await super().run_single(data)
        item = data[-1]
        about = item.non_tensor_batch
        if about.get("uid") is None:
            raise ValueError(
                "the rollout has no uid, so its siblings cannot be found; a colocated reward model "
                "(reward.reward_model.enable without a pool of its own) does not pass it on"
            )
        member = about.get("session_id")
        answer = await self._client.rollout(
            CohortRollout(
                group_id=str(about["uid"]),
                # Before the V1 trainer siblings have no number; a retry of ours keeps this one.
                member_id=uuid.uuid4().hex if member is None else int(member),
                group_size=self._group_size(about),
                prompt=self._prompt(item),
                rollout=Rollout(self._response(item), quality=float(judged["reward_score"])),
                deadline_s=self._deadline_s,
            ),
            run=self._run,
            **self._asked,
        )
        parts = {
            "quality": answer.quality,
            "diversity": answer.diversity,
            "num_classes": answer.num_classes,
            "group_complete": float(answer.group_complete),
        }
        return {
            "reward_score": answer.reward,
            "reward_extra_info": {**judged["reward_extra_info"], **parts},
        }

    def _group_size(self, about: Any) -> int:
        """Validation calls the same manager with another n, and only the data can tell.

        An unknown split is taken for training: were it validation, its groups would be answered at
        the deadline and flagged, while training groups of `val_kwargs.n` would lose their diversity
        without a word.
        """
        rollout = self.config.actor_rollout_ref.rollout
        split = str((about.get("extra_info") or {}).get("split", "train"))
        validation = split.lower().startswith(VALIDATION)
        return int(rollout.val_kwargs.n if validation else rollout.n)

    def _prompt(self, item: Any) -> Any:
        messages = item.non_tensor_batch.get("raw_prompt")
        if messages is not None:
            return list(messages)
        prompt = item.batch["prompts"]
        given = item.batch["attention_mask"][: prompt.shape[-1]].bool()
        return self.tokenizer.decode(prompt[given], skip_special_tokens=True)

    def _response(self, item: Any) -> str:
        response = item.batch["responses"]
        length = int(item.batch["attention_mask"][-response.shape[-1] :].sum())
        text: str = self.tokenizer.decode(response[:length], skip_special_tokens=True)
        return text
