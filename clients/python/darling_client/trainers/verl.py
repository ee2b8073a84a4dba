"""verl from 0.7.1 on: a reward manager, which gets one rollout at a time.

    reward.reward_manager.source=importlib
    reward.reward_manager.name=DarlingRewardManager
    reward.reward_manager.module.path=pkg://darling_client.trainers.verl
    +reward.darling.url=http://reward:8000

The rollouts of a prompt reach different workers on different nodes, so the service collects them.
"""

from __future__ import annotations

import uuid
from typing import Any

from omegaconf import OmegaConf
from verl.experimental.reward_loop.reward_manager.naive import NaiveRewardManager

from darling_client import AsyncClient, CohortRollout
from darling_client._types import Response
from darling_client.trainers._batch import rollout
from darling_client.trainers._quality import FIELDS, Judgement, judgement
from darling_client.trainers._request import Request
from darling_client.trainers._tokens import decoded, response

CLIENT_PARAMS = ("token", "patience_s", "timeout_s")
WAITS = ("deadline_s", "idle_timeout_s")
REQUEST_PARAMS = ("reward", "partition", "run", "model", "send")
VALIDATION_PREFIXES = ("test", "val", "eval", "dev")
"""How the names of validation splits begin."""


class DarlingRewardManager(NaiveRewardManager):  # type: ignore[misc]
    """Rewards quality shaped by diversity. The quality is the score of verl's naive manager, which
    calls `compute_score`.

    The configuration `reward.darling` may hold `url`, `token`, `patience_s` and `timeout_s` of the
    client, `deadline_s` and `idle_timeout_s` of `CohortRollout`, and the options of
    `AdapterParams`; the `run` is by default `trainer.experiment_name`. Raises `ValueError` that
    names any other. `compute_score` may return the fields of `Judgement` beside `score`.
    """

    def __init__(self, config: Any, tokenizer: Any, compute_score: Any, **more: Any) -> None:
        super().__init__(config, tokenizer, compute_score, **more)
        params: Any = OmegaConf.to_container(
            config.reward.get("darling") or OmegaConf.create(), resolve=True
        )
        known = {"url", *CLIENT_PARAMS, *WAITS, *REQUEST_PARAMS}
        if unknown := sorted(set(params) - known):
            raise ValueError(
                f"reward.darling has unknown options {', '.join(unknown)}; it takes "
                f"{', '.join(sorted(known))}, and options of the reward go to reward.darling.reward"
            )
        run = params.get("run") or str(config.trainer.get("experiment_name") or "verl")
        own = {name: params[name] for name in REQUEST_PARAMS if name in params}
        self._request = Request({**own, "run": run})
        if config.algorithm.get("adv_estimator") == "grpo" and config.algorithm.get(
            "norm_adv_by_std_in_grpo", True
        ):
            self._request.std_is_on("verl", "algorithm.norm_adv_by_std_in_grpo=False")
        self._client = AsyncClient(
            params.get("url"), **{name: params[name] for name in CLIENT_PARAMS if name in params}
        )
        self._waits = {name: params[name] for name in WAITS if name in params}

    async def run_single(self, data: Any) -> dict[str, Any]:
        """Returns the reward of one rollout, once its siblings have reached the service.

        Raises `DarlingError`, on which verl marks the prompt as failed, and `ValueError` for a
        rollout without `uid`.
        """
        scored = await super().run_single(data)
        item = data[-1]
        columns = item.non_tensor_batch
        if columns.get("uid") is None:
            raise ValueError(
                "the rollout has no uid, which names its group; a colocated reward model does not "
                "pass it on, so give reward.reward_model a resource pool of its own or switch it "
                "off"
            )
        about = dict(scored["reward_extra_info"])
        known = _judgement(scored["reward_score"], about)
        session_id = columns.get("session_id")
        result = await self._client.rollout(
            CohortRollout(
                group_id=str(columns["uid"]),
                # Before verl's V1 trainer siblings have no number. The client's retries keep this.
                member_id=uuid.uuid4().hex if session_id is None else int(session_id),
                group_size=self._group_size(columns),
                prompt=self._prompt(item),
                rollout=rollout(self._response(item), known),
                reference=known.reference,
                **self._waits,
            ),
            **self._request.params(columns.get("global_steps")),
        )
        parts = {
            **({} if result.quality is None else {"quality": result.quality}),
            "diversity": result.diversity,
            "num_classes": result.num_classes,
            "collapsed": float(result.num_classes == 1 < result.group_size),
            "group_complete": float(result.group_complete),
        }
        return {
            "reward_score": self._request.sent_one(result),
            "reward_extra_info": {**about, **parts},
        }

    def _group_size(self, columns: Any) -> int:
        """The number of rollouts per prompt. Validation calls the same manager with another one,
        and only the name of the data's split tells.

        An unknown split counts as training. If it is validation, its groups are answered at the
        deadline and flagged; the other mistake would cut training groups to `val_kwargs.n` and
        lose their diversity in silence.
        """
        rollout = self.config.actor_rollout_ref.rollout
        split = str((columns.get("extra_info") or {}).get("split", "train"))
        validation = split.lower().startswith(VALIDATION_PREFIXES)
        return int(rollout.val_kwargs.n if validation else rollout.n)

    def _prompt(self, item: Any) -> Any:
        messages = item.non_tensor_batch.get("raw_prompt")
        if messages is not None:
            return list(messages)
        prompt = item.batch["prompts"]
        is_text = item.batch["attention_mask"][: prompt.shape[-1]].bool()
        return decoded(self.tokenizer, prompt[is_text].tolist())

    def _response(self, item: Any) -> Response:
        tokens = item.batch["responses"]
        length = int(item.batch["attention_mask"][-tokens.shape[-1] :].sum())
        # In rollouts with tools the mask of the response says what the policy wrote.
        mask = item.batch.get("response_mask")
        own = None if mask is None else mask[:length].tolist()
        return response(self.tokenizer, tokens[:length].tolist(), own)


def _judgement(score: Any, about: dict[str, Any]) -> Judgement:
    """What is known of a rollout: its score, and the fields of `Judgement` among the columns that
    `compute_score` returned beside it. Takes the solutions out of `about`: verl cannot log lists.

    Raises `ValueError` for a score that is no finite number.
    """
    fields = {name: about[name] for name in FIELDS if name in about}
    about.pop("solutions", None)
    known = judgement({**fields, "quality": score})
    if known is None:
        raise ValueError(f"compute_score returned the score {score!r:.80}; return a finite number")
    return known
