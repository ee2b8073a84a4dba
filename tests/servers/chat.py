"""A judge that follows its instructions to the letter: `POST /v1/chat/completions`, as OpenAI's.

Two responses are the same to it when they begin with the same letter, and use the same strategy
when they end with the same one. It takes texts that are "as long as each other" for the same if
it is told so. Which of the two it is asked, and whether that makes its answer
yes or no, true or false, it reads from the instruction alone, so that a prompt with the wrong
polarity gets the wrong answer.
"""

import argparse
import json
import math
import re
from typing import Any

from tests.servers.processes import answer_posts

NONSENSE: dict[str, Any] = {
    "prose": {"message": {"content": "Both have their charm."}},
    "logprobs": {
        "logprobs": {"content": [{"top_logprobs": [{"token": "Both", "logprob": -0.01}]}]},
        "message": {"content": "Both"},
    },
    "string": {"message": {"content": '{"same": "yes", "classes": "1, 2"}'}},
    "incomplete": {"message": {"content": '{"classes": [[1]]}'}},
    "repeated": {"message": {"content": '{"classes": [[1, 2], [2]]}'}},
    "null": {"message": {"content": None}, "logprobs": None},
}


def classes(letters: list[str]) -> list[list[int]]:
    found: dict[str, list[int]] = {}
    for number, letter in enumerate(letters, start=1):
        found.setdefault(letter, []).append(number)
    return list(found.values())


def logprobs(word: str, other: str) -> dict[str, Any]:
    """Spread over the ways to write the word, as real models do."""
    shares = {word.capitalize(): 0.6, f" {word}": 0.3, other.capitalize(): 0.1}
    top = [{"token": token, "logprob": math.log(share)} for token, share in shares.items()]
    return {"content": [{"token": top[0]["token"], "top_logprobs": top}]}


def choose(instruction: str, texts: list[str]) -> dict[str, Any]:
    end = slice(-1, None) if "use the same strategy" in instruction else slice(1)
    letters = [text.strip()[end].lower() for text in texts]
    if "as long as each other" in instruction:
        letters = [str(len(text)) for text in texts]
    same = len(set(letters)) == 1
    if said := re.search(
        r"(yes|no) if they are the same, (yes|no) if they are different", instruction
    ):
        word = said.group(1) if same else said.group(2)
        other = said.group(2) if same else said.group(1)
        return {"message": {"content": word}, "logprobs": logprobs(word, other)}
    if said := re.search(r"({.*?}) if they are the same, ({.*?}) if they are\s+diff", instruction):
        content = said.group(1) if same else said.group(2)
        return {"message": {"content": f"Sure:\n```json\n{content}\n```"}}
    assert "one list if they are the same, in two lists if they are different" in instruction
    return {"message": {"content": json.dumps({"classes": classes(letters)})}}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--key")
    parser.add_argument("--nonsense", choices=NONSENSE)
    given = parser.parse_args()
    asked = 0

    def answer(path: str, body: dict[str, Any], headers: dict[str, str]) -> tuple[int, Any]:
        nonlocal asked
        if path != "/v1/chat/completions" or body["model"] != "referee":
            return 404, {"error": "not found"}
        if given.key and headers.get("authorization") != f"Bearer {given.key}":
            return 401, {"error": "who are you?"}
        asked += 1
        system, user = (message["content"] for message in body["messages"])
        texts = re.findall(r"<response \d+>\n(.*?)\n</response \d+>", user, re.S)
        # The first question is the warm-up of a service that then has to meet the nonsense.
        choice = NONSENSE[given.nonsense] if given.nonsense and asked > 1 else choose(system, texts)
        return 200, {"choices": [choice], "usage": {"total_tokens": 7}}

    answer_posts(answer)


if __name__ == "__main__":
    main()
