"""A group through the AReaL helper, with the package's own wrapper around the quality function.

areal_group.py < [text, ...]
"""

import asyncio
import json
import sys
from typing import Any

from areal.api.reward_api import AsyncRewardWrapper

from darling_client.trainers.areal import group_reward


def quality(
    prompt: str, completion: str, prompt_ids: Any, completion_ids: Any, answer: str
) -> float:
    return 0.25 + 0.75 * float(answer in completion)


async def main(texts: list[str]) -> None:
    reward = group_reward(AsyncRewardWrapper(quality))
    rewards = await reward("p", texts, {"answer": "blue"})
    print()
    print(json.dumps(rewards), flush=True)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.stdin.read())))
