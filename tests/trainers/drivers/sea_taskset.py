"""A taskset of verifiers 0.4 for `vf-eval sea-taskset`, with a harness that asks its model once."""

from collections.abc import Iterable
from typing import Any

import httpx
import verifiers.v1 as vf

__all__ = ["SeaHarness", "SeaTaskset"]


class SeaTask(vf.Task[vf.TaskData]):  # type: ignore[misc]
    @vf.reward  # type: ignore[untyped-decorator]
    async def blue(self, trace: Any) -> float:
        return float("blue" in trace.last_reply)

    @vf.reward(weight=0.25)  # type: ignore[untyped-decorator]
    async def dull(self, trace: Any) -> float:
        return float("blue" not in trace.last_reply)


class SeaTaskset(vf.Taskset[SeaTask]):  # type: ignore[misc]
    def load(self) -> Iterable[SeaTask]:
        yield SeaTask(vf.TaskData(prompt="say something about a sea"))


class SeaHarness(vf.Harness[vf.HarnessConfig]):  # type: ignore[misc]
    EXECUTES_CODE = False
    NEEDS_CONTAINER = False

    async def launch(
        self,
        ctx: Any,
        trace: Any,
        runtime: Any,
        endpoint: str,
        secret: str,
        mcp_urls: Any,
        data: Any,
        tool_interception_url: str | None = None,
    ) -> Any:
        body = {"model": ctx.model, "messages": [{"role": "user", "content": data.prompt}]}
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.post(
                f"{endpoint}/chat/completions",
                json=body,
                headers={"authorization": f"Bearer {secret}"},
            )
        return vf.ProgramResult(int(answer.is_error), answer.text, answer.text)
