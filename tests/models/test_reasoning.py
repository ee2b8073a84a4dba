"""The parts of a response: reasoning and answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darling_models.reasoning import Parted, part_reasoning
from tests.cpu_time import too_dear

FINISHED = {
    "a DeepSeek or Qwen model": "<think>\nLisbon, or Cairo?\n</think>\n\nKyoto.",
    "the opening tag stood in the prompt": "Lisbon, or Cairo?\n</think>\n\nKyoto.",
    "another name": "<thinking>Lisbon, or Cairo?</thinking>Kyoto.",
    "capitals": "<THINK>Lisbon, or Cairo?</THINK> Kyoto.",
    "Magistral": "[THINK]Lisbon, or Cairo?[/THINK]Kyoto.",
    "Sky-T1": "<|begin_of_thought|>\nLisbon, or Cairo?\n<|end_of_thought|>\n\n"
    "<|begin_of_solution|>\nKyoto.\n<|end_of_solution|>",
    "Command A": "<|START_THINKING|>Lisbon, or Cairo?<|END_THINKING|><|START_RESPONSE|>Kyoto."
    "<|END_RESPONSE|>",
    "Kimi": "◁think▷Lisbon, or Cairo?◁/think▷Kyoto.",
    "Seed": "<seed:think>Lisbon, or Cairo?</seed:think>Kyoto.",
    "gpt-oss": "<|channel|>analysis<|message|>Lisbon, or Cairo?<|end|><|start|>assistant"
    "<|channel|>final<|message|>Kyoto.<|return|>",
    "gpt-oss without special tokens": "analysisLisbon, or Cairo?assistantfinalKyoto.",
    "Granite": "Here is my thought process: Lisbon, or Cairo?\n\nHere is my response: Kyoto.",
    "words before the reasoning": "Sure. <think>Lisbon, or Cairo?</think>Kyoto.",
    "two stretches of reasoning": "<think>Lisbon?</think>Hm.\n<think>Cairo?</think>Kyoto.",
    "Apertus": "<|inner_prefix|>Lisbon, or Cairo?<|inner_suffix|>Kyoto.",
    "Solar": "<|think|>Lisbon, or Cairo?<|end|><|begin|>assistant<|content|>Kyoto.",
    "Gemma's channel": "<|channel>thought\nLisbon, or Cairo?<channel|>Kyoto.",
    "a tag of Claude's": "<antThinking>Lisbon, or Cairo?</antThinking>Kyoto.",
    "a chain of thought": "<cot>Lisbon, or Cairo?</cot>Kyoto.",
    "a tag with an attribute": '<think type="deep">Lisbon, or Cairo?</think >Kyoto.',
    "gpt-oss, the role left": "assistantanalysisLisbon, or Cairo?assistantfinalKyoto.",
    "Granite, shorter": "Here's my thought process: Lisbon, or Cairo?\nHere's my response: Kyoto.",
    "reasoning ends in code": "<think>Lisbon, or `Cairo?`</think>Kyoto.",
    "the same, opened in the prompt": "Lisbon, or `Cairo?`</think>\nKyoto.",
    "reasoning ends in a fence": "<think>Lisbon, or\n```\nCairo?\n```</think>Kyoto.",
    "reasoning ends inside a fence": "<think>Lisbon, or\n```\nCairo?</think>Kyoto.",
    "a tag in backticks in the reasoning": "<think>I must write `</think>`. Cairo?</think>Kyoto.",
}

UNFINISHED = (
    "<think>Let me try \\boxed{7}",
    "<think>",
    "Okay.\n<think>\nLet me try 7",
    "Okay! <think>Let me try 7",
    "<think>Seven?</think>It is 7. <think>Or is it 8",
    "[THINK]Let me try 7",
    "<|begin_of_thought|>Let me try 7",
    "<|channel|>analysis<|message|>Let me try 7",
    "Here is my thought process: Let me try 7",
)

ORDINARY = (
    "",
    "  Kyoto. \n",
    "The analysis is final.",
    "analysis of the assistant: final",
    "I think <b>Kyoto</b>.",
    "Write a <think> tag, then your thoughts.",
    "Write `<think>` and close it with `</think>`.",
    "Think [think] thinking",
    "Kyoto. Here is my response: yes.",
    "a < b and c > d",
    "```python\nopening = '<think>'\n```",
    "```python\nanswer = s.split('</think>')[-1]\n```",
    "```python\nre.search(r'<think>(.*?)</think>(.*)', s)\n```",
    'The mark "</think>" ends reasoning; “<think>” begins it.',
    '<tool_call>{"name": "search", "arguments": {"q": "<think>"}}</tool_call>',
    '<tool_call>{"name": "search", "arguments": {"q": "Hi.\n<think> a"}}</tool_call>',
    "analysis of the data shows Kyoto. The assistantfinal token is odd",
    "analysis: assistantfinal is a token",
)


@pytest.mark.parametrize("text", FINISHED.values(), ids=FINISHED)
def test_the_answer_follows_the_reasoning(text: str) -> None:
    parted = part_reasoning(text)
    assert (parted.answer, parted.finished) == ("Kyoto.", True)
    assert parted.reasoning is not None
    assert "Cairo?" in parted.reasoning
    assert not parted.reasoning.rstrip().endswith(">")


@pytest.mark.parametrize("text", UNFINISHED)
def test_reasoning_that_does_not_end_has_no_answer(text: str) -> None:
    parted = part_reasoning(text)
    assert (parted.answer, parted.finished) == ("", False)
    assert parted.reasoning is not None


@pytest.mark.parametrize("text", ORDINARY)
def test_a_text_without_reasoning_is_its_own_answer(text: str) -> None:
    assert part_reasoning(text) == Parted(None, text, finished=True)


@given(st.lists(st.sampled_from(["<think>", "</think>", "`", "\n", " ", "a", "7.", "<|channel|>"])))
def test_an_answer_is_a_piece_of_the_text_and_has_none_of_its_own(pieces: list[str]) -> None:
    text = "".join(pieces)
    parted = part_reasoning(text)
    assert parted.answer in text
    assert (parted.reasoning is None) == (parted == Parted(None, text, finished=True))
    assert part_reasoning(parted.answer).finished


@pytest.mark.parametrize(
    "shape",
    [
        "<think>",
        "</think>",
        "<",
        "<|channel|>analysis",
        "<|channel|>final ",
        " ",
        "\n",
        "Here is my ",
        "```\n",
        "```\n<think>",
        "<tool_call>",
        "`<think>",
        "analysisA",
        "assistantfinal",
    ],
)
@pytest.mark.parametrize("prefix", ["", "</think>"])
def test_time_is_linear_in_the_text(prefix: str, shape: str) -> None:
    def text(characters: int) -> str:
        return prefix + (shape * characters)[:characters]

    assert not too_dear(part_reasoning, text(100_000), text(1_000_000))
