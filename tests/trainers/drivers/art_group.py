"""A group through ART's own gathering: art_group.py < [response, ...]

Prints the trajectories after a judge and the adapter, and what is left of a group that the judge
has given up.
"""

import asyncio
import json
import sys
from collections.abc import Sequence
from typing import Any

import art
from openai.types.chat.chat_completion import Choice

from darling_client import AsyncClient
from darling_client.trainers.art import group_reward

PROMPT = {"role": "user", "content": "say something about a sea"}


async def trajectory(text: str) -> art.Trajectory:
    message = {"role": "assistant", "content": text}
    choice = Choice.model_validate({"index": 0, "finish_reason": "stop", "message": message})
    return art.Trajectory(messages_and_choices=[PROMPT, choice], reward=0.0)


async def ruler(group: art.TrajectoryGroup) -> art.TrajectoryGroup | None:
    """A judge of the group, as ART's RULER is: None where it gives up."""
    texts = [str(one.messages()[-1]["content"]) for one in group.trajectories]
    for one, text in zip(group.trajectories, texts, strict=True):
        one.reward = 0.25 + 0.75 * ("blue" in text)
    return None if "mumble" in texts else group


async def gathered(groups: Sequence[Sequence[str]], client: AsyncClient | None = None) -> Any:
    darling = group_reward(client=client)

    async def after_each(group: art.TrajectoryGroup) -> Any:
        return await darling(await ruler(group))

    return await art.gather_trajectory_groups(
        (art.TrajectoryGroup([trajectory(text) for text in texts]) for texts in groups),
        after_each=after_each,
    )


if __name__ == "__main__":
    (group,) = asyncio.run(gathered([json.loads(sys.stdin.read()), ["mumble", "mumble"]]))
    told = {
        one.messages()[-1]["content"]: {"reward": one.reward, **one.metrics}
        for one in group.trajectories
    }
    print(json.dumps(told))
