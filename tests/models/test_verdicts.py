"""Reading a judge's answer: after its reasoning, one verdict, however it is written."""

import json
import math
from itertools import product
from typing import Any

import pytest

from darling_models.llm_judge.verdicts import first_token_probability, json_classes, json_same
from darling_models.remote.hosts import MISREAD
from tests.cpu_time import too_dear

TRUE, FALSE = '{"same": true}', '{"same": false}'
AROUND = {
    "bare": "{}",
    "fenced": "```json\n{}\n```",
    "fence without a language": "```\n{}```",
    "talk before": "Let me compare them {{carefully}}. {}",
    "talk after, with braces": "{} because one says {{x}} and the other {{y: [1]}}.",
    "reasoning": '<think>They {{may}} differ: {{"same": null}}</think>\n{}',
    "reasoning with the other verdict": "<think>{other}, no wait</think>{}",
    "a template opened the reasoning": "{other}? I do not think so.\n</think>\n\n{}",
    "thinking": "<thinking>a {{ b</thinking>{}",
    "magistral": "[THINK]{other}[/THINK]{}",
    "gpt-oss": "<|channel|>analysis<|message|>{other}<|end|><|channel|>final<|message|>{}",
    "twice": "{}\n\nTo repeat: {}",
    "another object first": '{{"reason": "same city {{Paris}}"}}\n{}',
    "another object after": '{}\n{{"confidence": 0.9}}',
    "in a list": "[{}]",
    "inside another object": '{{"verdict": {}}}',
    "unbalanced braces": "}}}} {{{{ {} }}}} {{",
}
WRITTEN = {
    "json": '{"same": VALUE}',
    "spaced": '{\n  "same" :\tVALUE\n}',
    "python": "{'same': VALUE}",
    "quoted": '{"same": "VALUE"}',
    "with a reason": '{"same": VALUE, "reason": "both {say} \\"so\\""}',
    "after a reason": '{"reason": "they are the same: yes", "same": VALUE}',
    "key in capitals": '{"Same": VALUE}',
}


def choice(content: Any) -> dict[str, Any]:
    return {"message": {"content": content}}


@pytest.mark.parametrize(("around", "written"), list(product(AROUND, WRITTEN)))
def test_a_verdict_is_read_however_it_is_written(around: str, written: str) -> None:
    for value, expected in (("true", 1.0), ("false", 0.0), ("True", 1.0), ("FALSE", 0.0)):
        said = WRITTEN[written].replace("VALUE", value)
        content = AROUND[around].replace("{}", "@@").format(other=TRUE if not expected else FALSE)
        assert json_same(choice(content.replace("@@", said))) == expected


@pytest.mark.parametrize(
    "content",
    [
        *(f"{TRUE} {FALSE}", f"{FALSE}, or rather {TRUE}", '{"same": true, "same": false}'),
        *("", "{}", "{", "}", "same: true", '{"same": }', '{"same": "yes"}', '{"same": 1}'),
        *('{"same": null}', '{"same": true/false}', '{"same": [true]}', '{"same": true'),
        *('{"notsame": true}', '{"same": truest}', "true", "yes", '{"same": 1.0}'),
        *(f"<think>{TRUE}", f"<think>hm</think><think>{TRUE}", f"[THINK]{TRUE}"),
        *(f"<think>{TRUE}</think>", f"<|channel|>analysis<|message|>{TRUE}"),
        *(None, 7, True, [TRUE], {"same": True}),
    ],
)
def test_what_is_no_single_verdict_is_none(content: Any) -> None:
    with pytest.raises(MISREAD):
        json_same(choice(content))


GROUPS = {
    '{"classes": [[1, 3], [2]]}': [0, 1, 0],
    "```json\n{'classes': [[1,3],[2]]}\n```": [0, 1, 0],
    '{"classes": [[2], [3, 1]]}': [0, 1, 0],
    '<think>{"classes": [[1,2,3]]}</think>{"classes": [[1], [2], [3]]}': [0, 1, 2],
    '{"classes": [[1, 2]]} misses one: {"classes": [[1, 2], [3]]} {done}': [0, 0, 2],
    '{"classes": [[1, 3], [2]]} that is {"classes": [[2], [1, 3]]}': [0, 1, 0],
    '{"classes": [[1,\n 2,\n 3,],\n]}': [0, 0, 0],
}


@pytest.mark.parametrize("content", GROUPS)
def test_classes_are_read_however_they_are_written(content: str) -> None:
    labels = json_classes(choice(content), 3)
    expected = GROUPS[content]
    same = [[a == b for a in labels] for b in labels]
    assert same == [[a == b for a in expected] for b in expected]


@pytest.mark.parametrize(
    "content",
    [
        '{"classes": [[1, 2], [3]]} or {"classes": [[1], [2, 3]]}',
        *('{"classes": [[1, 2]]}', '{"classes": [[1, 2], [2, 3]]}', '{"classes": [[1, 2, 3, 4]]}'),
        *('{"classes": "1, 2, 3"}', '{"classes": [1, 2, 3]}', '{"classes": [["1", "2", "3"]]}'),
        *('{"classes": [[1.0, 2, 3]]}', '{"classes": [[0, 1, 2]]}', '{"classes": [[-1, 2, 3]]}'),
        *('{"classes": [[1, 2, 3]', '<think>{"classes": [[1, 2, 3]]}', "[[1, 2, 3]]", ""),
        '{"classes": [[1, 2, ' + "9" * 5000 + "]]}",
    ],
)
def test_what_is_no_single_partition_is_none(content: str) -> None:
    with pytest.raises(MISREAD):
        json_classes(choice(content), 3)


def logprobs(*tokens: str, top: dict[str, Any] | None = None) -> dict[str, Any]:
    """A choice of these tokens; `top` stands at the last one."""
    listed = [
        {"token": token, "top_logprobs": [{"token": token, "logprob": 0.0}]} for token in tokens
    ]
    if top is not None:
        listed[-1]["top_logprobs"] = [{"token": t, "logprob": v} for t, v in top.items()]
    return {"message": {"content": "".join(tokens)}, "logprobs": {"content": listed}}


SURE = {"Yes": math.log(0.6), " yes": math.log(0.3), "No": math.log(0.1)}


@pytest.mark.parametrize(
    "before",
    [
        (),
        ("\n\n",),
        ("**",),
        ("<think>", "No", ", ", "or", " yes", "?", "</think>", "\n\n"),
        ("<thi", "nk>", "no", "</thi", "nk>", "\n", '"'),
        ("[THINK]", "no", "[/THINK]"),
        ("No", " is", " likely", ".", "</think>", "\n"),
    ],
)
def test_yes_and_no_are_read_behind_the_reasoning(before: tuple[str, ...]) -> None:
    assert first_token_probability(logprobs(*before, "Yes", top=SURE)) == pytest.approx(0.9)


@pytest.mark.parametrize(
    "broken",
    [
        logprobs("<think>"),
        logprobs("<think>", "Yes", top=SURE),
        logprobs("<think>", "</think>"),
        logprobs("Both"),
        logprobs(),
        logprobs("Yes", top={"Yes": None}),
        logprobs("Yes", top={"Yes": "0"}),
        logprobs("Yes", top={"Yes": True}),
        logprobs("Yes", top={"Yes": float("nan")}),
        logprobs("Yes", top={"Yes": 1e300}),
        logprobs("Yes", top={"Yes": 0.0, "yes": 0.0}),
        {"logprobs": None},
        {"logprobs": {"content": None}},
        {"logprobs": {"content": [{"token": "Yes"}]}},
        {},
    ],
)
def test_what_is_neither_yes_nor_no_is_none(broken: dict[str, Any]) -> None:
    with pytest.raises(MISREAD):
        first_token_probability(broken)


HOSTILE = {
    "opening braces": "{",
    "closing braces": "}",
    "keys": '"same":',
    "keys and spaces": '"same" : ' + " " * 50,
    "open objects": '{"same": {',
    "deep lists": '{"classes": [',
    "many lists": '"classes": [[1, ',
    "empty lists": "[],",
    "digits": "1",
    "quotes": '"',
    "escapes": "\\",
    "tags": "<think>",
    "spaces": " ",
    "verdicts": '{"same": tru',
}


@pytest.mark.parametrize("shape", HOSTILE)
def test_reading_takes_linear_time(shape: str) -> None:
    """CPU time of 20 times the text, at most 60 times as much."""

    def content(characters: int) -> str:
        return '{"classes": [' + HOSTILE[shape] * (characters // len(HOSTILE[shape]))

    def misread(content: str) -> None:
        for read in (json_same, lambda said: json_classes(said, 3)):
            with pytest.raises(MISREAD):
                read(choice(content))

    assert not too_dear(misread, content(50_000), content(1_000_000), at_most=60)


def test_an_answer_as_deep_as_it_is_long_is_refused() -> None:
    with pytest.raises(MISREAD):
        json.loads("[" * 1_000_000)
