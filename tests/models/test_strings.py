"""What strings say: polarity, what is left without politeness, and how pairs compare."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from darling_models.embedded.strings.chat_words import carrying
from darling_models.embedded.strings.compare import STRING_FEATURES, string_features
from darling_models.embedded.strings.facts import facts
from darling_models.embedded.strings.polarity import ENDS, pointing
from darling_models.embedded.strings.words import stem, words
from darling_models.embedded.strings.wrapping import core, lead, refuses

ODD = [
    "ı",
    "İ",
    "ſ",
    "K",
    "5",
    "6.",
    "0",
    "/0",
    "six",
    "ſix",
    "fıve",
    "ten",
    "ſeptember",
    "May",
    "é",
    "€",
    "$",
    "%",
    "km",
    "mı",
    "MİN",
    "st",
    "-1",
    ",",
    ".",
    ":",
    '"',
    "'",
]
"""Letters that Unicode's cases match with ASCII's, and what stands around numbers."""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Sure! I'd go with Paris. Let me know if you need more.", "Paris"),
        ("My pick is 19, since it is prime.", "19"),
        ("Great question! Honestly, I'd have to say George Washington.", "George Washington"),
        ("**Answer:** Kyoto", "Kyoto"),
        ("How about Lisbon?", "Lisbon"),
        ("Lisbon", "Lisbon"),
        ("It was J. R. R. Tolkien, who taught.", "J. R. R. Tolkien, who taught"),
        ("J. R. R. Tolkien", "J. R. R. Tolkien"),
        ("I'd pick St. Louis. It is nice.", "St. Louis"),
        ("Dr. Strange. He flies.", "Dr. Strange"),
        ("Mrs. Dalloway", "Mrs. Dalloway"),
        ("John F. Kennedy. The president.", "John F. Kennedy"),
        ("The U.S. Army. It is big.", "The U.S. Army"),
        ("The answer is A. It is right.", "A"),
        ("At 9 a.m. sharp. Then go.", "At 9 a.m. sharp"),
        ("Well-being", "Well-being"),
        ("Good-natured people", "Good-natured people"),
        ("Great Britain", "Great Britain"),
        ("Hey Jude", "Hey Jude"),
        ("Well, I'd say Paris.", "Paris"),
        ("1. Paris", "Paris"),
        ("19. It is prime.", "19"),
        ("The answer is -5.", "-5"),
        ("| Answer |\n|---|\n| Paris |", "Paris"),
        ("¡Claro! Yo diría que Mérida. ¡Espero que te ayude!", "Mérida"),
        ("Gerne! Meine Antwort ist Ulm. Viele Grüße!", "Ulm"),
        ("Bien sûr ! Je dirais Brest. N'hésitez pas !", "Brest"),
        ("当然！我会选择西安。希望对你有帮助！", "西安"),
        ("Sure!", "Sure"),
        ("", ""),
    ],
)
def test_politeness_and_framing_are_taken_off(text: str, said: str) -> None:
    assert lead(core(text)) == said


@pytest.mark.parametrize(
    ("text", "axis", "side"),
    [
        ("yes, you can", "yes", 1),
        ("no.", "yes", -1),
        ("it is not safe", "can", -1),
        ("it can't", "can", -1),
        ("you should not", "should", -1),
        ("it never increases", "increase", -1),
        ("it rises", "increase", 1),
        ("👍", "yes", 1),
        ("no, not higher. lower", "increase", -1),
    ],
)
def test_negations_turn_what_a_text_points_to(text: str, axis: str, side: int) -> None:
    (number,) = [k for k, (ahead, _) in enumerate(ENDS) if ahead.split()[0] == axis]
    assert pointing(text)[0][number] == side


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("The answer is A.", ["A"]),
        ("(a)", ["A"]),
        ("answer b is right", ["B"]),
        ("A, because it fits", ["A", "fits"]),
        ("a dog", ["dog"]),
        ("A dog", ["dog"]),
        ("I'd take vitamin D", ["vitamin", "D"]),
        ("C++", ["C++"]),
        ("It's C#.", ["C#"]),
        ("a B+", ["B+"]),
        ("**S**", ["S"]),
        ("I choose T", ["T"]),
        ("World War I", ["world", "war", "I"]),
        ("J. R. R. Tolkien", ["jrr", "tolkien"]),
        ("J.R.R. Tolkien", ["jrr", "tolkien"]),
        ("the U.S.", ["US"]),
        ("It isn't Rome", ["rome"]),
        ("La respuesta es Rome, creo.", ["rome"]),
        ("Die Antwort ist Rome.", ["rome"]),
        ("Je pense que c'est Rome.", ["rome"]),
        ("我的答案是罗马。", ["罗马"]),
        ("Die Hard", ["die", "hard"]),
        ("La La Land", ["la", "la", "land"]),
        ("gracias", ["gracias"]),
    ],
)
def test_what_is_left_without_grammar_and_politeness(text: str, said: list[str]) -> None:
    assert carrying(words(text)) == said


@pytest.mark.parametrize(
    ("a", "b"), [("Málaga", "malaga"), ("kangaroos", "Kangaroo"), ("the city’s", "the city's")]
)
def test_accents_and_endings_make_no_other_word(a: str, b: str) -> None:
    assert [stem(word) for word in words(a)] == [stem(word) for word in words(b)]


def test_refusals_are_seen() -> None:
    assert refuses("I'm sorry, but I can't help with that.")
    assert not refuses("You can help yourself. Sorry is no word for it.")


def compared(prompt: str, a: str, b: str) -> dict[str, float]:
    own = [facts(a), facts(b)]
    values = string_features(own, facts(prompt), np.asarray([0]), np.asarray([1]))
    return {name: float(column[0]) for name, column in values.items()}


@pytest.mark.parametrize(
    ("feature", "prompt", "a", "same", "other"),
    [
        ("reading", "Solve it.", r"So it is \boxed{2}.", "The answer is 2", r"So it is \boxed{4}."),
        ("result", "What is 17*24?", "17*24 = 408", "That makes **408**.", "17*24 = 418"),
        ("value", "Solve it.", "-5", "x = -5", "5"),
        ("operation", "Simplify.", "a + b", "It is a + b", "a - b"),
        ("kernel", "Pick a number.", "19", "My pick is 19", "My pick is 23"),
        ("kernel", "Name a city.", "Put me down for Oslo. Ping me anytime!", "Oslo", "Bergen"),
        ("initialled", "Who?", "George Washington", "It was G. Washington.", "Martha Washington"),
        ("order", "Rank them.", "Sun > Earth > Moon", "Sun, Earth, Moon", "Moon > Earth > Sun"),
        ("assigned", "Solve it.", "x = -1, y = 3", "y=3\nx=-1", "x = 3, y = -1"),
        ("rare", "Which?", "Take 🍜!", "🍜", "🌮"),
        (
            "code_shape",
            "Code?",
            "`for i in xs: f(i)`",
            "`for x in ys: f(x)`",
            "`for x in f: x += 1`",
        ),
    ],
)
def test_agreement_is_told_from_conflict(
    feature: str, prompt: str, a: str, same: str, other: str
) -> None:
    agreeing, conflicting = compared(prompt, a, same), compared(prompt, a, other)
    name = f"string_{feature}_containment"
    assert agreeing[name] > conflicting[name]


@pytest.mark.parametrize(
    ("feature", "a", "b", "conflict"),
    [
        ("namesake_not_initialled", "Mary Shelley", "Percy Shelley", True),
        ("namesake_not_initialled", "It was M. Shelley.", "Percy Shelley", True),
        ("namesake_not_initialled", "Mary Shelley", "Mary W. Shelley", False),
        ("namesake_not_initialled", "Mary Shelley", "Shelley", False),
        ("namesake_not_initialled", "Perhaps Mary Shelley", "Mary Shelley", False),
        ("namesake_not_initialled", "Dr. Martin King", "Martin King Jr.", False),
        ("initialled_not_named", "Percy Shelley", "Peter Shelley", True),
        ("initialled_not_named", "P. Shelley", "Peter Shelley", False),
        ("converted_not_value", "1.5 km", "1500 m", True),
        ("converted_not_value", "1.5 km", "1.5 km", False),
        ("value_not_converted", "5 km", "5 m", True),
        ("value_not_converted", "5 km", "5 kilometres", False),
    ],
)
def test_what_agrees_by_half_is_told(feature: str, a: str, b: str, conflict: bool) -> None:
    assert (compared("Which?", a, b)[f"string_{feature}"] > 0) == conflict


def test_every_feature_is_finite_and_symmetric_bit_for_bit() -> None:
    texts = ["", " \n", "</s>", "你好 🦄", "**a** a a", "```x", "Yes. 5 km", "No! -5 m"]
    own = [facts(text) for text in texts]
    pairs = np.asarray(list(combinations(range(len(texts)), 2)))
    forth = string_features(own, facts("Is it 5 km?"), *pairs.T)
    back = string_features(own, facts("Is it 5 km?"), *pairs[:, ::-1].T)
    assert tuple(forth) == STRING_FEATURES
    for name, values in forth.items():
        assert np.isfinite(values).all(), name
        np.testing.assert_array_equal(values, back[name])
        alone = compared("Is it 5 km?", texts[pairs[7, 0]], texts[pairs[7, 1]])
        assert alone[name] == values[7]


@given(
    st.text(max_size=200)
    | st.lists(st.sampled_from([*ODD, " ", "\n"]), max_size=30).map("".join)
    | st.lists(st.sampled_from(ODD), max_size=30).map(" ".join)
)
@example("6 mı?")
@example("5 MİN, 5 ſ")
def test_any_text_has_facts(text: str) -> None:
    read = facts(text)
    assert np.isfinite(read.flags).all()
    assert all((np.diff(codes) > 0).all() for codes in read.sets)
