r"""The final answer of a response as text: how it is read, written plainly and compared."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darling_models.final_answers.equality import labels_in, matches_label, same_answer
from darling_models.final_answers.extraction import final_answer
from darling_models.final_answers.formula import MAX_FORMULA_CHARS, formula
from darling_models.final_answers.plain_form import plain_form
from darling_models.texts.special_tokens import is_blank
from tests.cpu_time import too_dear

RIGHT = [
    # sentences and headings
    ("The final answer is: 42", "42"),
    ("The final answer is: $42$.", "42"),
    ("the answer is 42", "42"),
    ("The answer is **42**.", "42"),
    ("The answer is: `42`", "42"),
    ("The answer to the question is 42", "42"),
    ("Therefore, the answer would be 42.", "42"),
    ("The answer is therefore 42.", "42"),
    ("The answer is approximately 3.14.", "3.14"),
    ("The answer is 42, because 6 * 7 = 42.", "42"),
    ("The answer is 42. This follows from the table.", "42"),
    ("The answer is Rome. No: the answer is Paris.\nSure.", "Paris"),
    ("The answer is 42. I am sure the answer is correct.", "42"),
    ("Final Answer: The final answer is $42$. I hope it is correct.", "42"),
    ("answer is:\n\n**42**", "42"),
    ("**Answer**: 42", "42"),
    ("**Answer:** 42", "42"),
    ("*Answer*: 42", "42"),
    ("__Answer:__ 42", "42"),
    ("ANSWER = 42", "42"),
    ("Ans: 42", "42"),
    ("Answer：４２", "42"),
    ("答案是42。", "42"),
    ("答案：42", "42"),
    ("## Answer\n\n42", "42"),
    ("**Final Answer**\n\n$$\n42\n$$", "42"),
    ("### Final answer\n\\boxed{42}", "42"),
    ("#### Answer\n42", "42"),
    ("Answer:\n```python\n42\n```", "42"),
    ("Answer: Mr. Smith", "Mr. Smith"),
    ("Answer: Paris!", "paris"),
    ("my answer is “42”", "42"),
    ("The answer is justice", "justice"),
    ("The answer is about 3", "about 3"),
    ("Answer: still", "still"),
    # marks
    ("#### 42", "42"),
    ("3 + 4 = 7\n#### 7", "7"),
    ("steps\n#### 1,234\n", "1234"),
    ("#### 42\n\nLet me know if that helps!", "42"),
    ("#### Paris", "Paris"),
    (r"so \boxed{\frac{1}{2}}, that is", r"\frac{1}{2}"),
    (r"It is $\boxed{42}$.", "42"),
    (r"$\boxed {42}$", "42"),
    (r"so \fbox{42}", "42"),
    (r"\boxed{\boxed{42}}", "42"),
    (r"\boxed{7}, no: \boxed{42}", "42"),
    (r"\boxed{42} \boxed{}", "42"),
    (r"First \boxed{7}, but the answer is 42.", "42"),
    (r"\boxed{42}. The answer is correct.", "42"),
    ("\\boxed{18}\n\nSo the final answer is 18 dollars per day.", "18"),
    ("<answer>42</answer>", "42"),
    ("<ANSWER>\n42\n</ANSWER>", "42"),
    ("<answer>The final answer is 42</answer>", "42"),
    ("<answer>\nThe final answer is \\boxed{42}\n</answer>", "42"),
    ("<answer>42", "42"),  # generation was stopped at the closing tag
    # last rows
    ("Paris", "paris "),
    ("I think.\nParis", "Paris"),
    ("So 6 * 7 = 42.", "42"),
    ("We get $x = 42$", "42"),
    ("We get x = 42", "x = 42"),
    ("The total is 42.", "42"),
    ("It costs $42.", "42"),
    ("6 times 7 is 42.", "42"),
    ("6 times 7 is 42. Yes, 42.", "42"),
    ("Not 41. It is 42.", "42"),
    ("Thus the probability is 1/2.", "1/2"),
    ("So we get \\frac{1}{2}.", "1/2"),
    ("The pair is (1,2).", "(1, 2)"),
    ("7 + 7 + 7 + 7 + 7 + 7 = 42.", "42"),
    (r"Thus \[ x = 42 \]", "42"),
    ("Thus\n$$\n42\n$$", "42"),
    ("So it is $42$!", "42"),
    ("```\n42\n```", "42"),
    ("line 1\nline 2", "line 1 line 2"),
    # options
    (r"So \boxed{\text{A}}", "A"),
    ("The answer is (A).", "A"),
    ("The correct answer is option B.", "B"),
    ("Answer: (B)", "B"),
    ("Answer: B", "(b)"),
    ("Answer: [B]", "B"),
    ("B) Paris", "B"),
    ("B) Paris", "Paris"),
    ("Answer: B", "B) Paris"),
    ("Answer: A. Paris", "A"),
    # notation
    (r"\(42\)", "42"),
    ("$.5$.", ".5"),
    ("42.0", "42"),
    ("1e3", "1000.0"),
    ("Answer: 1,234", "1234"),
    ("Answer: 1234", "1,234"),
    ("Answer: 1{,}234", "1234"),
    ("Answer: 1\u202f234", "1234"),
    ("answer is \u221242", "-42"),
    ("The answer is - 5", "-5"),
    ("Answer: +42", "42"),
    (r"Answer: 50\%", "50 %"),
    (r"Answer: \$42", "$42"),
    (r"The answer is \frac{3}{4}.", "3/4"),
    ("The answer is 3/4", r"\dfrac{3}{4}"),
    ("The answer is \u00be", "3/4"),
    (r"Answer: 2\frac{3}{4}", "2 3/4"),
    ("Answer: 90\u00b0", r"90^\circ"),
    ("Answer: (1,2)", "( 1, 2 )"),
    ("Answer: 42\u200b", "42"),
    ("Answer: x = 42", "42"),
    ("Answer: 42", "x=42"),
    # labels that are worked solutions
    ("The answer is 5", "2 + 3 = 5\n#### 5"),
    ("The answer is 5", r"Thus $\boxed{5}$."),
    # after reasoning
    (r"<think>\boxed{7}</think>The answer is 42", "42"),
    ("so it is 7</think>\n42", "42"),
]
WRONG = [
    ("", "42"),
    (" \n", "42"),
    ("42", ""),
    ("", ""),
    ("...", ""),
    ("142", "42"),
    ("17", "7"),
    ("4.2", "42"),
    ("0.42", "42"),
    ("4 2", "42"),
    ("4,2", "42"),
    ("1,42", "142"),
    ("42", "-42"),
    ("-42", "42"),
    ("42!", "42"),
    ("42e1", "42"),
    ("4^2", "42"),
    ("4\u00b2", "42"),
    ("The answer is 5", ".5"),
    ("42 or 43", "42"),
    ("42 or 43", "43"),
    ("The answer is 42 or 43", "42"),
    ("Either 41 or 42.", "42"),
    ("The answer is not 42.", "42"),
    ("The answer is **not** 42.", "42"),
    ("The answer isn't 42", "42"),
    ("It is not 42.", "42"),
    ("Is it 42?", "42"),
    ("It may be 41. Or 42.", "42"),
    ("There are 6 and 42", "42"),
    ("It is 42km", "42"),
    ("The ratio is 3:42", "42"),
    ("It is 42. No.", "42"),
    ("Suppose x = 42", "42"),
    ("The answer is greater than 42", "42"),
    ("I have 3 apples and 42 pears", "42"),
    ("The answer is 42 %", "42"),
    ("The answer is 42 km", "42"),
    ("Answer: 42 million", "42"),
    ("x <= 42", "42"),
    ("x != 42", "42"),
    (r"x \neq 42", "42"),
    ("y = 42", "x = 42"),
    ("x=1, y=42", "42"),
    ("$x=2$ and $x=42$", "42"),
    (r"\boxed{42, 43}", "42"),
    (r"\boxed{1} and \boxed{2}", "1"),
    (r"\boxed{1", "1"),
    (r"\boxed{}", "42"),
    ("Answer:", "42"),
    ("The answer is Rome. No: the answer is Paris.\nSure.", "Rome"),
    ("The answer is 41.\n42", "42"),
    ("Answer: 42\nAnswer: 41", "42"),
    ("42\n41", "42"),
    (r"\boxed{41}, and never 42", "42"),
    ("2 3/4", "23/4"),
    (r"2\frac{3}{4}", "23/4"),
    ("6/8", "3/4"),
    ("(A) and (B)", "A"),
    ("(A) or (B)", "A"),
    ("A or B", "A"),
    ("A, B", "A"),
    ("A) 5; B) 6", "A"),
    ("Answer: AB", "A"),
    ("Apples", "A"),
    ("B) Rome", "B) Paris"),
    (r"<think>so maybe \boxed{7}</think>The answer is 42.", "7"),
    (r"<think>Let me try \boxed{7}", "7"),
    ("<think>7", "7"),
    ("Sure.<think>the answer is 7", "7"),
    ("[THINK]the answer is 7", "7"),
    (r"<|channel|>analysis<|message|>\boxed{7}", "7"),
]


@pytest.mark.parametrize(("text", "label"), RIGHT)
def test_the_final_answer_is_the_label(text: str, label: str) -> None:
    assert matches_label(text, label), (final_answer(text), plain_form(label))


@pytest.mark.parametrize(("text", "label"), WRONG)
def test_the_final_answer_is_not_the_label(text: str, label: str) -> None:
    assert not matches_label(text, label), final_answer(text)


@pytest.mark.parametrize(("text", "label"), RIGHT)
def test_what_stands_in_reasoning_does_not_count(text: str, label: str) -> None:
    """The same text as reasoning, before another answer and without one."""
    assert matches_label(f"<think>It is 7.</think>\n{text}", label)
    if "think>" not in text:
        assert not matches_label(f"<think>{text}</think>\nI give up", label)
        assert not matches_label(f"<think>\n{text}", label)
        assert final_answer(f"<think>\n{text}") is None


def test_a_label_may_mark_its_answer() -> None:
    assert labels_in("4") == ("4",)
    assert labels_in("3 + 1 = 4\n#### 4") == ("4", "3 + 1 = 4\n#### 4")


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        (" 42", "42", True),
        ("X  y", "x Y", True),
        ("41", "42", False),
        ("42.0", "42", True),
        ("\u2212 42", "-42", True),
        ("$42$", "42", True),
        ("\u0664\u0662", "42", True),
        ("caf\u00e9", "cafe\u0301", True),
        ("42", "", False),
        ("", "", False),
        ("$$", "$$", True),
    ],
)
def test_same_answer(a: str, b: str, same: bool) -> None:
    assert same_answer(a, b) == same_answer(b, a) == same


@pytest.mark.parametrize("blank", ["", " ", "\n\t", "\u00a0\u3000", "\u200b", "\ufeff \u2060"])
def test_blank_answers(blank: str) -> None:
    assert is_blank(blank)
    assert plain_form(blank) == ""


SIGNS = ["(", ")", "{", "}", "$", "$$", "\\", "=", ".", ",", "-", "%", "!", "?", ":", "*", "_", "`"]
MARKS = ["\\boxed{", "\\text{", "\\frac{1}{2}", "\\frac", "####", "<answer>", "</answer>", "```"]
WORDS = [
    "answer is ",
    "Answer: ",
    "answer",
    "not ",
    " or ",
    "1,234",
    "1e9",
    "A) ",
    "x = ",
    "答案是",
]
PIECES = st.sampled_from(
    [
        *SIGNS,
        *MARKS,
        *WORDS,
        *"aAbx 42\n\t0\r\u2028\u00b2\u00bd\u0301\u2212\uff15\u200b'\"<>#|&~^/+",
        *("<think>", "</think>", "\\[", "\\]", "\\(", "\\)", "<|im_end|>"),
    ]
)
TEXTS = st.lists(PIECES, max_size=40).map("".join)


@given(TEXTS, TEXTS)
def test_any_text_has_an_answer_or_none(text: str, label: str) -> None:
    answer = final_answer(text)
    if answer is not None:
        assert answer.readings
        assert all(reading.strip() for reading in answer.readings)
    assert isinstance(matches_label(text, label), bool)
    assert same_answer(text, label) == same_answer(label, text)
    assert plain_form(text) or is_blank(text)
    assert formula(text) is None or len(text) <= MAX_FORMULA_CHARS


@given(st.integers(-(10**12), 10**12), st.sampled_from(["{}", "${}$.", "**{}**", "\\boxed{{{}}}"]))
def test_numbers_match_however_they_are_written(value: int, form: str) -> None:
    for written in (str(value), f"{value:,}", f"{value}.0", str(value).replace("-", "\u2212")):
        assert matches_label(f"I see.\nThe answer is {form.format(written)}", str(value))
        assert not matches_label(f"The answer is {form.format(written)}", str(value + 1))


SHAPES = [
    *SIGNS,
    *[" ", "\n", "\r\n", "\t", "\u2028", "'", '"', "\u201c", "- ", "* ", "# ", "0", "1.", "1,111"],
    *["word", "word ", "\u0301\u0323", "\u2212", "\u2009", "< ", ">", "\u2260", "|", "e1", "[]"],
    *["\\boxed{", "\\boxed{}", "\\boxed{1}", "\\text{", "\\text ", "\\frac{1}{2", "\\[", "\\("],
    *["#### x ", "#### x\n", "####\n", "<answer>", "<answer></answer>", "<think>", "</think>"],
    *["answer ", "answer is ", "answer: ", "**answer** ", "the answer\n", "answer is not ", "```"],
    *["x=1,", "=1 and ", ". ", "a. ", "or ", "n't ", "\u7b54\u6848\u662f", "<|im_end|>", "\\"],
]
LETTERS = 10_000


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("frame", ["{}", "The answer is {}", "{} 42", "\\boxed{{{}}}"])
def test_time_is_linear_in_the_text(shape: str, frame: str) -> None:
    def text(characters: int) -> str:
        return frame.format(shape * (characters // len(shape)))

    few, many = text(LETTERS), text(10 * LETTERS)
    functions: list[Callable[[str], object]] = [
        final_answer,
        lambda t: matches_label(t, "42"),
        lambda t: matches_label("42", t),
        plain_form,
        formula,
    ]
    for function in functions:
        assert not too_dear(function, few, many)
