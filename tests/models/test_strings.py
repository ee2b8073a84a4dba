"""What strings say: values, polarity, what is left without politeness, and how pairs compare."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from darling_models.embedded.strings.chat_words import carrying
from darling_models.embedded.strings.compare import STRING_FEATURES, string_features
from darling_models.embedded.strings.facts import facts
from darling_models.embedded.strings.polarity import ENDS, pointing
from darling_models.embedded.strings.quantities import quantities
from darling_models.embedded.strings.words import stem, words
from darling_models.embedded.strings.wrapping import core, lead, refuses
from darling_models.final_answers.plain_form import folded

SAME_MEASURE = [
    ("1.5 km", "1500 m", "1,500 metres", "1500 meters"),
    ("1 hour 20 minutes", "80 min", "80 minutes", "1 hour and 20 minutes"),
    ("1:45 PM", "13:45", "1.45pm", "13h45", "1:45 in the afternoon"),
    ("7:30 AM", "07:30", "7:30 in the morning"),
    ("3 o'clock in the afternoon", "15:00", "3 pm"),
    ("twenty-one", "21", "21.0", "+21"),
    ("one thousand", "1,000", "1000", "1 thousand"),
    ("3/4", r"\frac{3}{4}", "0.75", "¾"),
    ("50%", "50 percent", "50 %"),
    ("-5", "−5", "x = -5"),
    ("2.5 million", "2,500,000"),
    ("1 1/2", "1.5"),
    ("$5", "5 dollars", "five dollars", "500 cents"),
    ("the 1990s", "1990's", "the '90s", "the nineties", "nineteen-nineties"),
    ("half an hour", "30 minutes", "0.5 h", "1,800 seconds"),
    ("an hour and a half", "1.5 hours", "90 min"),
    ("two and a half litres", "2.5 l", "2500 ml"),
    ("three quarters of an hour", "45 minutes"),
    ("0.5 hectares", "5000 m²", "5,000 square metres", "0.005 km2"),
    ("100 °C", "100 degrees Celsius", "212 °F", "212 degrees Fahrenheit", "373.15 kelvin"),
    ("72 km/h", "20 m/s"),
    ("1 kg", "1000 g", "1,000 grams"),
    ("2 years", "24 months"),
    ("3 GB", "3000 MB", "3,000 megabytes"),
    ("noon", "12:00", "12 pm", "12 o'clock"),
    ("midnight", "0:00", "12 am"),
    ("$5k", "5000 dollars", "$5,000"),
]
OTHER_MEASURE = [
    ("5", "-5"),
    ("5 km", "5 m"),
    ("5 km", "5 kg"),
    ("1:45 AM", "1:45 PM"),
    ("1/2", "2/1"),
    ("March 5", "May 5"),
    ("50%", "50"),
    ("1.5", "15"),
    ("10", "100"),
    ("12469135689", "12469135688"),
    ("2^40 = 1099511627776", "2^40 = 1099511627778"),
    ("$1,234,561", "$1,234,562"),
    ("149,597,871 km", "149,597,999 km"),
    ("1234567890123456789", "1234567890123456788"),
    ("3 gâteaux", "3 g"),
    ("10 hôtels", "10 h"),
    ("5 länder", "5 l"),
    ("the 1990s", "1990 s"),
    ("the 1990s", "1990"),
    ("the 1990s", "the 1980s"),
    ("the '90s", "90 s"),
    ("1.5 km", "150 m"),
    ("1.5 km", "1500 km"),
    ("100 °C", "100 °F"),
    ("5 m", "5 m²"),
    ("half an hour", "half a day"),
    ("noon", "midnight"),
    ("[1,200,300]", "1,200,300"),
    ("(3,100)", "3,100"),
    ("range(1,100)", "range(1100)"),
]
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


def measures(text: str) -> list[str]:
    return [quantity.measure for quantity in quantities(folded(text))]


@pytest.mark.parametrize("written", SAME_MEASURE)
def test_ways_to_write_one_quantity_are_one_measure(written: tuple[str, ...]) -> None:
    assert len({tuple(measures(text)) for text in written}) == 1
    assert len(measures(written[0])) == 1


@pytest.mark.parametrize(("a", "b"), OTHER_MEASURE)
def test_other_quantities_are_other_measures(a: str, b: str) -> None:
    assert measures(a) != measures(b)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("17*24 = 408", ["17", "24", "408"]),
        ("between 10-20 of a - 5", ["10", "20", "5"]),
        ("(3,1)", ["3", "1"]),
        ("one of them", []),
        ("March 5, 2021", ["m3", "5", "2021"]),
        ("2021-03-05", ["2021", "m3", "5"]),
        ("$x$ costs $7$", ["7"]),
        ("9" * 40, ["9" * 40]),
        ("[1,200,300]", ["1", "200", "300"]),
        ("(1,200,300]", ["1", "200", "300"]),
        ("{1,200}", ["1", "200"]),
        (r"\{1,200\}", ["1", "200"]),
        ("[[1,200],[3,400]]", ["1", "200", "3", "400"]),
        ("f(0,100)", ["0", "100"]),
        ("1,200,300", ["1200300"]),
        (r"\boxed{1,200}", ["1200"]),
        ("one thousand two hundred (1,200)", ["1200", "1200"]),
        ("1,2000", ["1", "2000"]),
        ("1,200,30", ["1", "200", "30"]),
        ("[1,200 people]", ["1200"]),
        ("1. Blue 7", ["7"]),
        ("1. Red\n2. Blue 7", ["1", "2", "7"]),
        ("19. It is prime.", ["19"]),
        ("1. July 1990", ["1", "m7", "1990"]),
        ("10s", ["10"]),
        ("1/0", []),
    ],
)
def test_values_are_read_in_order(text: str, values: list[str]) -> None:
    assert [quantity.value for quantity in quantities(text)] == values


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
