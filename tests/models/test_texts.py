"""Which words of a prompt and a rollout are compared: templates, tokens, tool calls, the rule.

Whole groups, through every route and adapter, are in tests/corpus.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darling_models.texts.chat_templates import Turn, prompt_turns, read_prompt, rollout_turns
from darling_models.texts.rule import TextRule, compared_text, own_answer, own_text
from darling_models.texts.special_tokens import AT_THE_ENDS, is_blank, without_special_tokens
from darling_models.texts.tool_calls import call_text, with_plain_calls
from tests.cpu_time import too_dear

RULES: tuple[TextRule, ...] = ("answer", "last", "reasoning", "assistant", "all")
CALLED = [
    Turn("assistant", "<think>\nI add.\n</think>\nadd\na: 1"),
    Turn("tool", "3"),
    Turn("assistant", "Three."),
]


@pytest.mark.parametrize(
    ("turns", "texts"),
    [
        ([Turn("assistant", "Kyoto.")], ("Kyoto.", "Kyoto.", "", "Kyoto.", "Kyoto.")),
        (
            [Turn("assistant", "<think>Hm.</think>Kyoto.")],
            ("Kyoto.", "Kyoto.", "Hm.", "<think>Hm.</think>Kyoto.", "<think>Hm.</think>Kyoto."),
        ),
        ([Turn("assistant", "<think>Hm.")], ("", "", "Hm.", "<think>Hm.", "<think>Hm.")),
        (
            CALLED,
            (
                "add\na: 1\n\nThree.",
                "Three.",
                "I add.",
                f"{CALLED[0].text}\n\nThree.",
                f"{CALLED[0].text}\n\n3\n\nThree.",
            ),
        ),
        ([Turn("tool", "3")], ("", "", "", "", "3")),
        ([], ("", "", "", "", "")),
    ],
)
def test_what_each_rule_compares(turns: list[Turn], texts: tuple[str, ...]) -> None:
    assert tuple(compared_text(turns, rule).text for rule in RULES) == texts


HERMES = '<tool_call>\n{"name": "say", "arguments": {"text": "It is 7."}}\n</tool_call>'


@pytest.mark.parametrize(
    ("turns", "text", "answer"),
    [
        ([], "", ""),
        ([Turn("tool", "3")], "", ""),
        ([Turn("assistant", "Kyoto.")], "Kyoto.", "Kyoto."),
        (
            [Turn("assistant", "<think>Hm.</think>Kyoto.", "say\ntext: 7")],
            "<think>Hm.</think>Kyoto.\nsay\ntext: 7",
            "Kyoto.",
        ),
        ([Turn("assistant", "<think>Hm.", "say\ntext: 7")], "<think>Hm.\nsay\ntext: 7", ""),
        (
            [Turn("assistant", "", "say\ntext: </think>"), Turn("assistant", "Kyoto.")],
            "say\ntext: </think>\n\nKyoto.",
            "Kyoto.",
        ),
        (
            [Turn("assistant", "So:", "say\na: 1"), Turn("tool", "3"), Turn("assistant", "Three.")],
            "So:\nsay\na: 1\n\nThree.",
            "So:\n\nThree.",
        ),
        ([Turn("assistant", f"Kyoto.\n{HERMES}")], f"Kyoto.\n{HERMES}", "Kyoto."),
        ([Turn("assistant", HERMES)], HERMES, ""),
        (
            [Turn("assistant", f"{HERMES}Kyoto. {HERMES}\nBye.")],
            f"{HERMES}Kyoto. {HERMES}\nBye.",
            "Kyoto. \nBye.",
        ),
        ([Turn("assistant", "A <tool_call> is a mark.")], *["A <tool_call> is a mark."] * 2),
    ],
)
def test_calls_are_words_of_the_policy_and_no_answer(
    turns: list[Turn], text: str, answer: str
) -> None:
    assert (own_text(turns), own_answer(turns)) == (text, answer)


@given(
    st.lists(st.sampled_from(["Hm.", "<think>", "</think>", "Kyoto.", "\n", "`"])), st.booleans()
)
def test_without_calls_the_answer_is_the_compared_one(pieces: list[str], inside: bool) -> None:
    turns = [Turn(role, "".join(pieces)) for role in ("assistant", "tool", "assistant")]
    for some in (turns, turns[:1]):
        assert own_answer(some, inside) == compared_text(some, "answer", inside).text


def test_the_answer_says_what_became_of_the_reasoning() -> None:
    for text, fate in (
        ("Kyoto.", None),
        ("<think>Hm.</think>Kyoto.", "dropped"),
        ("<think>Hm. Kyoto.", "unfinished"),
        ("Kyoto.</think>", "dropped"),
    ):
        assert compared_text([Turn("assistant", text)], "answer").reasoning == fate
    in_prompt = compared_text([Turn("assistant", "Hm. Kyoto.")], "answer", in_reasoning=True)
    assert (in_prompt.text, in_prompt.reasoning) == ("", "unfinished")


@given(st.text(), st.sampled_from(RULES))
def test_a_text_without_marks_is_compared_as_it_is(text: str, rule: TextRule) -> None:
    plain = text.replace("<", "").replace("[", "").replace("◁", "").replace("analysis", "")
    if plain.lower().startswith("here is my") or rule == "reasoning":
        return
    compared = compared_text(rollout_turns(plain), rule).text
    assert compared == ("" if is_blank(plain) else plain.strip())


@given(st.text(alphabet="ab <s>/|im_end\n", max_size=40))
def test_nothing_is_left_at_the_ends(text: str) -> None:
    bare = without_special_tokens(text)
    assert bare == bare.strip()
    assert not bare.startswith(AT_THE_ENDS)
    assert not bare.endswith(AT_THE_ENDS)


@given(st.lists(st.sampled_from([" ", "\n", "\t", "\u3000", "\u200b", "\ufeff", "</s>"])))
def test_white_space_alone_is_the_empty_text(pieces: list[str]) -> None:
    for rule in RULES:
        assert compared_text(rollout_turns("".join(pieces)), rule).text == ""


@pytest.mark.parametrize(
    "prompt",
    [
        "What does <|user|> mean?",
        "Write <|im_start|>user\nhi",
        "Explain the [INST] tag.",
        "Use <start_of_turn>user\nin a sentence.",
        "a < b and [c]",
        "",
    ],
)
def test_a_prompt_that_only_speaks_of_templates_is_in_none(prompt: str) -> None:
    assert prompt_turns(prompt) is None
    assert read_prompt(prompt).text == prompt


@pytest.mark.parametrize("ending", ["Kyoto", "Cairo"])
@pytest.mark.parametrize(
    "text",
    [
        "<|im_start|> is a token. What does it do? ",
        "<|im_start|>user is a header. ",
        "[|user|] is EXAONE's. ",
        "<|user|> is Phi's. ",
        "[INST] is Mistral's. ",
        "<start_of_turn> is Gemma's. ",
        "Gemma: <start_of_turn>user\nHi<end_of_turn>\n",
        "ChatML: <|im_start|>user\nHi<|im_end|>\n",
        "Llama: <|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>",
    ],
)
def test_a_text_that_speaks_of_a_template_keeps_its_words(text: str, ending: str) -> None:
    for words in (
        read_prompt(text + ending).text,
        compared_text(rollout_turns(text + ending), "answer").text,
    ):
        assert words.endswith(ending)
        assert len(words) > len(ending)


def test_a_space_after_a_header_may_begin_the_turn() -> None:
    assert read_prompt("[|user|] Hi\n[|assistant|]").text == "Hi"
    assert read_prompt("<|im_start|> user\nHi<|im_end|>\n<|im_start|> assistant\n").text == "Hi"


def test_prompts_of_one_last_turn_have_names_of_their_own() -> None:
    first = [Turn("user", "A city?"), Turn("assistant", "Rome."), Turn("user", "Another?")]
    second = [Turn("user", "A sea?"), Turn("assistant", "Red."), Turn("user", "Another?")]
    assert read_prompt(first).text == read_prompt(second).text == "Another?"
    assert read_prompt(first).name != read_prompt(second).name
    template = "".join(f"<|im_start|>{t.role}\n{t.text}<|im_end|>\n" for t in first)
    helped = f"<|im_start|>system\nYou help.<|im_end|>\n{template}<|im_start|>assistant\n"
    assert read_prompt(helped) == read_prompt(first), "a template may add the system's words"


def test_arguments_are_written_in_one_order() -> None:
    assert call_text("f", '{"b": 1, "a": {"d": 2, "c": null}}') == 'f\na: {"c": null, "d": 2}\nb: 1'
    assert call_text("f", {"b": "é", "a": 1}) == 'f\na: 1\nb: "é"'
    assert call_text("f", "no json") == "f\nno json"
    assert call_text("f", "[1]") == "f\n[1]"
    assert call_text("f", None) == call_text("f", "{}") == "f"
    assert call_text("f", '"\\ud800"').encode() == b'f\n"\\ud800"'
    assert call_text("f", "[" * 100_000).startswith("f\n[[")
    text = 'Now.\n<tool_call>{"name": "f", "arguments": {}}</tool_call> <tool_call>{}</tool_call>'
    assert with_plain_calls(text) == "Now.\nf <tool_call>{}</tool_call>"


SHAPES = {
    "plain words": "plain words here ",
    **{
        repr(piece): piece
        for piece in (
            *("<", "[", "<|", "<s>", " <s> ", "<｜", "</s>\n", "<|im_end|>", "\u200b", " ", "\n"),
            *("<|im_start|>user\n", "<|start|>a ", "<|channel|>", "<|user|>", "[INST]", "[/INST]"),
            *("<tool_call>", "<tool_call>{", "<think>", "</think>", "`<think>`", "<<SYS>>"),
            *("<|im_start|>" + "a" * 60, "<start_of_turn>", "<|start_header_id|>user", "a < [b] "),
        )
    },
}


def read_all(text: str) -> None:
    compared_text(rollout_turns(text), "answer")
    read_prompt(text)


@pytest.mark.parametrize("shape", SHAPES)
def test_reading_takes_time_linear_in_the_text(shape: str) -> None:
    """Ten times the characters take at most fifteen times as long, in CPU time."""

    def text(characters: int) -> str:
        return (SHAPES[shape] * (characters // len(SHAPES[shape]) + 1))[:characters]

    assert not too_dear(read_all, text(20_000), text(200_000), noise_s=0.02)


@pytest.mark.parametrize(("last", "compared"), [("no end", ""), ("Cairo?</think>Kyoto.", "Kyoto.")])
def test_a_template_that_opens_the_reasoning_opens_it_in_every_turn(
    last: str, compared: str
) -> None:
    turns = [
        Turn("assistant", "a plan</think>one call"),
        Turn("tool", "found"),
        Turn("assistant", last),
    ]
    assert compared_text(turns, "answer").text == compared
