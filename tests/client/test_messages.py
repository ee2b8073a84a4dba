"""What the client makes of a trainer's messages and tokens before it sends them."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from darling_client._messages import messages_body, words_body
from darling_client.trainers._tokens import response
from darling_client.trainers.skyrl import DarlingGenerator, _steps


@dataclass
class Function:
    name: str
    arguments: str


class Message:
    """As pydantic's models are: fields behind `model_dump`."""

    def __init__(self, **fields: Any) -> None:
        self._fields = fields

    def model_dump(self) -> dict[str, Any]:
        return self._fields


CALL = {"function": {"name": "add", "arguments": '{"a": 1}'}}


@pytest.mark.parametrize(
    ("message", "body"),
    [
        ({"role": "user", "content": "Hi", "token_ids": [1, 2]}, {"role": "user", "content": "Hi"}),
        (
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "assistant", "tool_calls": [CALL]},
        ),
        (
            {"role": "assistant", "tool_calls": ['{"name": "add", "arguments": {}}']},
            {"role": "assistant", "tool_calls": [{"name": "add", "arguments": {}}]},
        ),
        (
            Message(role="assistant", content=None, tool_calls=[Message(function=CALL)]),
            {"role": "assistant", "tool_calls": [{"function": CALL}]},
        ),
        (
            {"role": "assistant", "tool_calls": [{"function": Function("add", "{}")}]},
            {
                "role": "assistant",
                "tool_calls": [{"function": {"name": "add", "arguments": "{}"}}],
            },
        ),
        (
            {"role": "user", "content": [{"type": "image", "image": object()}, {"text": "Hi"}]},
            {"role": "user", "content": [{"text": "Hi"}]},
        ),
        (
            {"role": "assistant", "content": "a", "input": float("nan")},
            {"role": "assistant", "content": "a", "input": "nan"},
        ),
    ],
)
def test_messages_are_sent_as_json(message: Any, body: dict[str, Any]) -> None:
    assert messages_body([message]) == [body]


def test_what_is_no_message_is_named() -> None:
    assert words_body("a text") == "a text"
    with pytest.raises(TypeError, match="'Hi' is no chat message"):
        messages_body(["Hi"])


class Words:
    """A tokenizer of whole words."""

    eos_token = "<EOT>"
    pad_token = None

    def __init__(self, text: str) -> None:
        self.words = text.split()

    def decode(self, ids: list[int], skip_special_tokens: bool) -> str:
        assert not skip_special_tokens, "they mark reasoning and turns"
        return " ".join(self.words[i] for i in ids)


def test_tokens_of_tools_are_messages_of_their_own() -> None:
    words = Words("add(1) 3 Three. <EOT> <EOT>")
    assert response(words, [0, 2, 3, 4], None) == "add(1) Three."
    assert response(words, [0, 2], [1, 1]) == "add(1) Three."
    assert response(words, [0, 1, 2, 3], [1, 0, 1, 1]) == [
        {"role": "assistant", "content": "add(1)"},
        {"role": "tool", "content": "3"},
        {"role": "assistant", "content": "Three."},
    ]


def test_skyrls_steps_are_one_rollout() -> None:
    generator = SimpleNamespace(tokenizer=Words("one two 3 four <EOT>"))
    output = {
        "response_ids": [[0], [1, 4], [2], [3, 4]],
        "loss_masks": [[1], [1, 1], [1], [1, 1]],
        "is_last_step": [False, True, False, True],
    }
    response: Any = DarlingGenerator._response
    assert list(_steps(output, ["a", "a", "b", "b"], 3)) == [2, 3]
    assert response(generator, output, _steps(output, ["a", "a", "b", "b"], 1)) == [
        {"role": "assistant", "content": "one"},
        {"role": "tool", "content": ""},
        {"role": "assistant", "content": "two"},
    ]
    whole = output | {"is_last_step": None}
    assert response(generator, whole, _steps(whole, ["a", "b", "c", "d"], 3)) == "four"
