"""Messages hold any JSON: every value is read, counted once, and arguments stay opaque."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darling_models.texts.messages import UNREAD, ChatMessage
from darling_models.texts.rule import compared_text

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text("ab<>{}\\é", max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "text", "content", "name", "x"]), inner)
    ),
    max_leaves=8,
)
TOOLS = ("add", "delete_everything", "book_flight")
MARKS = ("Hi.\n</think>", "<think>", "[THINK]", "<|im_end|>", "<|eot_id|>", "</tool_call>", "<s>")


def called(name: str, arguments: Any, **fields: Any) -> ChatMessage:
    call = {"function": {"name": name, "arguments": arguments}}
    return ChatMessage.model_validate({"role": "assistant", "tool_calls": [call], **fields})


def answer(message: ChatMessage) -> str:
    return compared_text(message.turns(), "answer").text


@given(JSON)
def test_any_json_is_read_and_counted(value: Any) -> None:
    parts = value if isinstance(value, list) else [value]
    content = [part for part in parts if isinstance(part, str | dict)]
    for message in (
        ChatMessage.model_validate({"role": "user", "content": content}),
        called("f", value),
        ChatMessage.model_validate({"type": "function_call", "name": "f", "arguments": value}),
        ChatMessage.model_validate({"type": "function_call_output", "output": value}),
    ):
        said = "".join(turn.words for turn in message.turns())
        assert len(said) <= message.chars() + 2 * len(content), said


@pytest.mark.parametrize(
    "arguments",
    [
        {"type": "file", "x": "a" * 999},
        {"type": ["string", "null"], "x": "a" * 999},
        {"a" * 999: 1},
        {"x": [1234567] * 200},
        {"x": [[]] * 500},
        {"x": {"y": {"type": "image", "text": "a" * 999}}},
    ],
)
def test_arguments_count_whatever_they_hold(arguments: Any) -> None:
    for form in (arguments, json.dumps(arguments)):
        message = called("f", form)
        assert message.chars() >= len(answer(message)) - 1 > 990


@pytest.mark.parametrize("kind", sorted(UNREAD))
def test_parts_that_are_no_text_are_neither_counted_nor_read(kind: str) -> None:
    part = {"type": kind, "text": "unread", kind: {"url": "data:…"}}
    message = ChatMessage.model_validate({"role": "user", "content": [part]})
    assert message.chars() == 0
    assert not any(turn.words for turn in message.turns())


@pytest.mark.parametrize("mark", MARKS)
def test_marks_in_arguments_mean_nothing(mark: str) -> None:
    for arguments in ({"t": mark}, json.dumps({"t": mark})):
        for fields in ({}, {"content": "<think>Hm.</think>Then."}, {"content": "<think>Hm."}):
            answers = [answer(called(tool, arguments, **fields)) for tool in TOOLS]
            assert len(set(answers)) == len(TOOLS)
            assert all(json.dumps(mark) in one for one in answers)
            assert all("Hm." not in one for one in answers)
    assert answer(called("add", {"t": mark})) != answer(called("add", {"t": mark + "x"}))


def test_calls_after_reasoning_are_the_answer() -> None:
    message = called("add", {"a": 1}, content="Then.", reasoning_content="Hm.")
    compared = compared_text(message.turns(), "answer")
    assert (compared.text, compared.reasoning) == ("Then.\nadd\na: 1", "dropped")
