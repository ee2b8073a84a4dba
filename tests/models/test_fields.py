"""Fields of records: what each kind accepts, and how it names what it does not."""

import json
import math
from typing import Any

import pytest

from darling_models import fields
from darling_models.fields import FieldFault, field
from darling_models.texts.messages import ChatMessage


def test_a_verdict_is_true_false_one_or_zero() -> None:
    for value, expected in (("true", True), ("1", True), ("false", False), ("0", False)):
        assert fields.verdict(json.loads(value)) is expected
    assert fields.verdict(json.loads("1.0")) is True, "as pandas writes a column with gaps"


@pytest.mark.parametrize(
    "value",
    [
        *('"False"', '"True"', '"0"', '"1"', '""', "null", "[]", "[1]", "{}"),
        *("-1", "2", "0.3", "1e-9", "NaN", "Infinity", "1" + "0" * 400),
    ],
)
def test_nothing_else_is_a_verdict(value: str) -> None:
    with pytest.raises(ValueError, match="is not a verdict; write true, false, 1 or 0"):
        fields.verdict(json.loads(value))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (True, "true is not a number"),
        ("0.5", '"0.5" is not a number; write one without quotes'),
        (None, "null is not a number"),
        ([0.5], "is not a number"),
        (math.nan, "NaN is not a number; write a finite one"),
        (math.inf, "Infinity is beyond ±1e"),
        (10**400, "is beyond ±1e"),
        (-1e31, "is beyond"),
    ],
)
def test_a_number_is_finite_and_no_text(value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("+", r"\+")):
        fields.number(value)
    assert (fields.number(3), fields.number(-0.5)) == (3.0, -0.5)


@pytest.mark.parametrize("value", [True, 0.5, "0", None, 2**63, math.nan, math.inf, [0], 1e300])
def test_a_class_is_an_integer(value: object) -> None:
    with pytest.raises(ValueError, match="is not the number of a class; write an integer"):
        fields.class_number(value)
    assert (fields.class_number(3), fields.class_number(2.0), fields.class_number(-1)) == (3, 2, -1)


def test_an_answer_is_a_text_a_number_or_nothing() -> None:
    for value, expected in (("x", "x"), (42, "42"), (42.0, "42"), (0.5, "0.5"), (-0.0, "0")):
        assert fields.answer(value) == expected
    for nothing in (None, "", " ", "\n\t"):
        assert fields.answer(nothing) is None
    for wrong in (True, ["7"], {"answer": 7}, math.nan):
        with pytest.raises(ValueError, match="is not an answer; write a text, a number or null"):
            fields.answer(wrong)


def test_a_prompt_is_a_text_or_messages() -> None:
    assert fields.prompt("Hi") == "Hi"
    message = {"role": "user", "content": "Hi", "name": "Ann"}
    assert fields.prompt([message]) == [ChatMessage.model_validate(message)]
    assert fields.prompt([]) == [], "nothing is said, as in an empty text"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "prompt: null is not a prompt; write a text or a list of messages"),
        (7, "prompt: 7 is not a prompt"),
        ({"role": "user", "content": "Hi"}, "prompt: {"),
        ("\ud800", "prompt: contains a lone surrogate"),
        (["Hi"], "prompt[0]: not an object; write one in {}"),
        ([{"role": "user"}], "prompt[0].content: missing; add it"),
        ([{"role": "user", "text": "Hi"}], "prompt[0].content: missing; add it"),
        ([{"content": "Hi"}], "prompt[0]: says neither who speaks nor what it is; give role"),
        ([{"role": "user", "content": None}], "prompt[0].content: missing; add it"),
        ([{"role": "user", "content": 5}], "prompt[0].content: not a list"),
        ([{"role": "user", "content": [5]}], "prompt[0].content[0]: not an object"),
        ([{"role": 5, "content": "a"}], "prompt[0].role: not a text; write one in quotes"),
        ([{"role": "user", "content": "a"}, []], "prompt[1]: not an object; write one in {}"),
    ],
)
def test_a_wrong_prompt_is_named_by_its_place(value: Any, message: str) -> None:
    with pytest.raises(FieldFault) as error:
        field({"prompt": value}, "prompt", fields.prompt)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("a", 'rollouts: "a" is not a list with something in it'),
        ([], "rollouts: [] is not a list with something in it"),
        (None, "rollouts: null is not a list"),
        ([1], "rollouts[0]: 1 is neither a text, nor messages, nor an object with either; write"),
        (["a", None], "rollouts[1]: null is neither a text"),
        ([{"text": 1}], "rollouts[0].text: not a text"),
        ([{"content": "a"}], "rollouts[0].text: missing; add it"),
        ([{"text": "a", "messages": []}], "rollouts[0].text: text and messages both hold the resp"),
        ([{"messages": "a"}], "rollouts[0].messages: not a list"),
        ([{"messages": [{"content": "a"}]}], "rollouts[0].messages[0]: says neither who speaks"),
        ([["a"]], "rollouts[0][0]: not an object"),
        ([[{"role": "assistant", "tool_calls": [1]}]], "rollouts[0][0].tool_calls[0]: not an obj"),
        (["\ud800"], "rollouts[0]: contains a lone surrogate"),
    ],
)
def test_wrong_rollouts_are_named_by_their_place(value: Any, message: str) -> None:
    with pytest.raises(FieldFault) as error:
        field({"rollouts": value}, "rollouts", fields.rollouts)
    assert str(error.value).startswith(message)


def test_a_rollout_is_a_text_messages_or_an_object_with_either() -> None:
    messages = [{"role": "assistant", "content": "a"}]
    said = [ChatMessage.model_validate(message) for message in messages]
    read = fields.rollouts(
        ["a", {"text": "a", "quality": 1}, messages, {"messages": messages, "correct": 1}, []]
    )
    assert [one.response for one in read] == ["a", "a", said, said, []]
    assert [one.known.get("quality", one.known.get("correct")) for one in read] == [
        *(None, 1, None, 1, None)
    ]
