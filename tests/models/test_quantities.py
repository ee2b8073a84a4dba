"""The numbers of a text as values, with their units."""

import pytest

from darling_models.embedded.strings.quantities import quantities
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
