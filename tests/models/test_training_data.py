"""What is learnt from: files with soft labels, recipes, folds, and groups that are made up."""

import gzip
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darling_models.labelled_data import (
    BehaviourGroup,
    HumanPair,
    TeacherGroup,
    folds,
    read_groups,
    read_pairs,
)
from darling_models.protocol import Notion, all_pairs
from darling_models.training.augment.hand_written import hand_written
from darling_models.training.augment.languages import languages
from darling_models.training.augment.look_alikes import KINDS as LOOK_ALIKES
from darling_models.training.augment.look_alikes import look_alikes
from darling_models.training.augment.padding import EVERY, padded
from darling_models.training.augment.phrases import DATA, phrases
from darling_models.training.augment.short_answers import KINDS, short_answers
from darling_models.training.augment.tool_calls import tool_calls
from darling_models.training.augment.wrapping import wrapped
from darling_models.training.encoder.steps import steps
from darling_models.training.labelled_groups import (
    LabelledGroup,
    Noise,
    fold_keys,
    not_labelled_in,
    of_groups,
    of_pairs,
)
from darling_models.training.sources import DEFAULT_RECIPE, Source, gather, names, read_recipe
from darling_service.cli.main import main
from tests.texts import essay

ROOT = Path(__file__).parents[2]
SUITE = ROOT / "tests/behaviours/suite.jsonl"
EXACT = Noise(0, 0)


def written(path: Path, rows: Iterable[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path.name


def group(prompt: str, classes: dict[str, int], sure: float = 1.0) -> TeacherGroup:
    return TeacherGroup(prompt, tuple(classes), np.asarray(list(classes.values())), sure=sure)


def labels(groups: Iterable[LabelledGroup]) -> dict[frozenset[str], bool]:
    return {
        frozenset((g.texts[i], g.texts[j])): bool(same)
        for g in groups
        for (i, j), same in zip(g.pairs.tolist(), g.same, strict=True)
    }


# Files as they are.


@pytest.mark.parametrize(
    ("row", "pair"),
    [
        (
            {"generation_0": "x", "generation_1": "y", "similar": 1, "labeler": "Ann"},
            HumanPair("p", "x", "y", True, "Ann"),
        ),
        ({"a": "x", "b": "y", "label": 0}, HumanPair("p", "x", "y", False, "unknown")),
        (
            {"a": "x", "b": "y", "label": 1.0, "group": "q7", "source": "s", "kind": "k"},
            HumanPair("p", "x", "y", True, "unknown", "q7"),
        ),
        (
            {"a": "x", "b": "y", "label": True, "group": 7, "labeler": 3},
            HumanPair("p", "x", "y", True, "3", "7"),
        ),
    ],
)
def test_pairs_of_people_and_of_public_sets_are_read(
    tmp_path: Path, row: dict[str, Any], pair: HumanPair
) -> None:
    written(tmp_path / "pairs", [{"prompt": "p", **row}])
    assert read_pairs(tmp_path / "pairs") == [pair]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"a": "x", "b": "y"}, "label: missing; add it"),
        ({"a": "x", "label": 1}, "b: missing; add it"),
        ({"a": "x", "b": "y", "label": 0.4}, "label: 0.4 is not a verdict"),
        ({"a": "x", "b": "y", "label": 1, "group": []}, "group: [] is not a text"),
        ({"a": 3, "b": "y", "label": 1}, "a: 3 is neither a text"),
    ],
)
def test_a_public_pair_that_is_wrong_is_named(
    tmp_path: Path, row: dict[str, Any], message: str
) -> None:
    written(tmp_path / "pairs", [{"prompt": "p", **row}])
    with pytest.raises(ValueError, match=re.escape(f"pairs, line 1: {message}")):
        read_pairs(tmp_path / "pairs")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"notion": "approach"}], "line 1: notion: judged by 'approach', where 'answer' is"),
        ([{}, {"notion": "style"}], "line 2: notion: judged by 'style', where 'answer' is"),
        ([{}, {"criterion": "c"}], "line 2: criterion: other than that of the first pair"),
        ([{"criterion": "c"}, {}], "line 2: criterion: other than that of the first pair"),
        ([{"criterion": "c"}, {"criterion": "d"}], "line 2: criterion: other than that of"),
        ([{"criterion": 3}], "line 1: criterion: 3 is not a text"),
    ],
)
def test_pairs_that_were_judged_by_another_question_are_named(
    tmp_path: Path, rows: list[dict[str, Any]], message: str
) -> None:
    pair = {"prompt": "p", "a": "x", "b": "y", "label": 1}
    written(tmp_path / "pairs", [pair | row for row in rows])
    with pytest.raises(ValueError, match=re.escape(message)):
        read_pairs(tmp_path / "pairs")


@pytest.mark.parametrize(
    ("row", "notion"),
    [
        ({}, "answer"),
        ({}, "approach"),
        ({"notion": None, "criterion": None}, "answer"),
        ({"notion": "answer"}, "answer"),
        ({"notion": "approach"}, "approach"),
        ({"criterion": "Two jokes are the same if they have the same punch line."}, "answer"),
    ],
)
def test_pairs_of_one_question_are_read(
    tmp_path: Path, row: dict[str, Any], notion: Notion
) -> None:
    pair = {"prompt": "p", "a": "x", "b": "y", "label": 1}
    written(tmp_path / "pairs", [pair | row] * 2)
    assert len(read_pairs(tmp_path / "pairs", notion=notion)) == 2


def test_groups_say_how_sure_their_reader_was_and_behaviours_are_groups(tmp_path: Path) -> None:
    plain = {"prompt": "p", "generations": ["a", "b"], "partition": [0, 1]}
    rows: list[dict[str, Any]] = [plain, {**plain, "sure": 0.4}, {**plain, "sure": None}]
    rows.append({"id": "x", "category": "c", "prompt": "p", "rollouts": ["a"], "classes": [3]})
    written(tmp_path / "groups", rows)
    groups = read_groups(tmp_path / "groups")
    assert [g.sure for g in groups] == [1.0, 0.4, 1.0, 1.0]
    assert isinstance(groups[3], BehaviourGroup)


@pytest.mark.parametrize("sure", [-0.1, 1.5, "high", True])
def test_sureness_is_a_share(tmp_path: Path, sure: object) -> None:
    row = {"prompt": "p", "generations": ["a"], "partition": [0], "sure": sure}
    written(tmp_path / "groups", [row])
    with pytest.raises(ValueError, match=r"groups, line 1: sure: .* is not"):
        read_groups(tmp_path / "groups")


# Labels.


@given(st.floats(0, 1), st.floats(0, 0.49), st.floats(0, 0.49))
def test_labels_are_softened_by_how_often_they_are_wrong(
    sure: float, same: float, different: float
) -> None:
    (labelled,) = of_groups([group("p", {"a": 0, "b": 0, "c": 1}, sure)], 0, Noise(same, different))
    certain = Noise(same, different).targets(np.asarray([True, False]))
    assert certain.tolist() == pytest.approx([1 - same, different])
    assert labelled.same.tolist() == [True, False, False]
    assert labelled.target[0] <= certain[0]
    assert (labelled.target[1:] >= certain[1]).all()
    assert 0 < labelled.weight <= 1


def test_equal_rollouts_are_one_text_and_no_pair() -> None:
    stored = TeacherGroup("p", ("a", "b", "a", "c"), np.asarray([0, 0, 0, 1]))
    (labelled,) = of_groups([stored, group("p", {"a": 0}), group("q", {})], 0, EXACT)
    assert labelled.texts == ("a", "b", "c")
    assert labelled.target.tolist() == [1, 0, 0]
    assert labelled.stored is stored
    assert not list(of_pairs([HumanPair("p", "a", "a", True, "x")], 0, EXACT))


def test_pairs_of_one_prompt_and_labeler_come_together_with_their_labels() -> None:
    pairs = [
        HumanPair(f"p{k % 3}", f"a{k % 7}", f"b{k}", k % 2 == 0, f"person {k % 2}")
        for k in range(300)
    ]
    groups = list(of_pairs(pairs, 0, EXACT))
    assert labels(groups) == {frozenset((p.a, p.b)): p.similar for p in pairs}
    assert sum(len(g.pairs) for g in groups) == len(pairs)
    assert all(len(set(g.texts)) == len(g.texts) for g in groups)
    assert {(g.prompt, g.labeler) for g in groups} == {(p.prompt, p.labeler) for p in pairs}


def test_pairs_of_public_sets_are_nobodys() -> None:
    pairs = [HumanPair("p", "a", "b", True, labeler) for labeler in ("unknown", "Ann")]
    assert [group.labeler for group in of_pairs(pairs, 0, EXACT)] == [None, "Ann"]


def test_the_first_source_of_a_pair_counts() -> None:
    careful = list(of_groups([group("p", {"a": 0, "b": 0, "c": 1})], 0, EXACT))
    old = [
        group("p", {"a": 0, "b": 1, "d": 0}),
        group("p", {"c": 0, "a": 1}),
        group("q", {"a": 0, "b": 1}),
    ]
    left = not_labelled_in(careful, of_groups(old, 1, EXACT))
    assert labels(left) == {
        frozenset("ad"): True,
        frozenset("bd"): False,
        frozenset("ab"): False,  # to another prompt
    }
    assert [g.stored is None for g in left] == [True, False]


# Folds.

PROMPTS = st.sampled_from(["Name a city.", "name a city", "Name a  dog!", "7", "¿?", "…"])
TIED = st.sampled_from(["", "", "one", "two"])


@given(st.lists(st.tuples(PROMPTS, TIED, st.integers(0, 1)), min_size=1, max_size=30))
def test_prompts_and_what_is_tied_are_never_cut_apart(rows: list[tuple[str, str, int]]) -> None:
    groups = [
        next(of_pairs([HumanPair(prompt, "a", "b", True, "x", tied)], source, EXACT))
        for prompt, tied, source in rows
    ]
    fold = folds(fold_keys(groups), 3, seed=0)
    for k, (prompt, tied, source) in enumerate(rows):
        for n, (other, tied_too, second) in enumerate(rows):
            if prompt == other or (tied and (tied, source) == (tied_too, second)):
                assert fold[k] == fold[n]


def test_case_and_punctuation_make_no_other_prompt_and_sources_tie_their_own() -> None:
    rows = [("Who won?", "", 0), ("who won", "x", 1), ("Where?", "x", 1), ("When?", "x", 0)]
    groups = [
        next(of_pairs([HumanPair(prompt, "a", "b", True, "x", tied)], source, EXACT))
        for prompt, tied, source in rows
    ]
    first, second, third, fourth = fold_keys(groups)
    assert first == second == third != fourth


# Recipes.

SOURCE = '[[source]]\npairs = "p.jsonl"\nshare = 1\ncalibration = 1\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "source: missing; add it"),
        ("source = 3", "source: not a list"),
        ("[[source", "Expected ']]'"),
        (SOURCE.replace("share = 1\n", ""), "source[0].share: missing; add it"),
        (SOURCE.replace("share = 1", "share = 0"), "source[0].share: input should be greater"),
        (SOURCE.replace("share = 1", "share = nan"), "source[0].share: "),
        (SOURCE.replace("share = 1", "share = inf"), "source[0].share: "),
        (SOURCE + "wrong_same = 0.5", "source[0].wrong_same: input should be less than 0.5"),
        (SOURCE + "max_pairs = 0", "source[0].max_pairs: "),
        (SOURCE + "weight = 2", "source[0].weight: unknown field"),
        (SOURCE + 'wrong_same = 0\nlabels_by = "exact"', "wrong_same softens labels of its own"),
        (
            SOURCE + '[[source]]\nmade_up = "padded"\nshare = 1\nwrong_different = 0.1',
            "source[1]: wrong_",
        ),
        (SOURCE + 'groups = "g"', "source[0]: give exactly one of groups, pairs and made_up"),
        (SOURCE.replace('pairs = "p.jsonl"', 'made_up = "wraped"'), "choose one of hand_written"),
        (SOURCE.replace('pairs = "p.jsonl"', 'made_up = "wrapped"'), "leave out labels_by"),
        (SOURCE.replace('pairs = "p.jsonl"\n', ""), "source[0]: give exactly one of"),
        (SOURCE.replace("calibration = 1\n", ""), "no source has calibration; give it to"),
    ],
)
def test_a_recipe_that_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text(text)
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        read_recipe(file)
    assert str(error.value).startswith(f"{file}: ")


def test_the_built_in_recipe_reads_files_as_they_are(tmp_path: Path) -> None:
    """One line of each file, in the form in which it was published."""
    sources = read_recipe(DEFAULT_RECIPE)
    careful = {"prompt": "Pick.", "generations": ["Red.", "red", "Blue."], "partition": [0, 0, 1]}
    rows: dict[str, dict[str, Any]] = {
        "careful_groups": {**careful, "sure": 0.9, "model": "m", "id": "c"},
        "behaviour_groups": {"id": "b", "category": "c", "prompt": "q", "rollouts": ["x", "y"]}
        | {"classes": [0, 1]},
        "equivalence_pairs": {"prompt": "h", "generation_0": "x", "generation_1": "y"}
        | {"similar": 1, "labeler": "Barry"},
    }
    for source in sources:
        if (name := source.groups or source.pairs) is not None:
            public = {"prompt": source.name, "a": "x", "b": "y", "label": 1, "group": "g"}
            row = json.dumps(rows.get(source.name, public)) + "\n"
            (tmp_path / name).write_bytes(gzip.compress(row.encode()))
    groups = gather(sources, tmp_path, "answer", seed=0)
    counts = np.bincount([g.source for g in groups], minlength=len(sources))
    empty = {sources[k].name for k in np.flatnonzero(counts == 0).tolist()}
    assert empty == {"padded"}, "no text is long enough to pad others with"
    again = gather(sources, tmp_path, "answer", seed=0)
    assert [g.texts for g in again] == [g.texts for g in groups]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("", "give either --pairs, or --data for the files of a recipe"),
        ("--pairs p --data d", "give either --pairs, or --data for the files of a recipe"),
        ("--pairs p --recipe r", "--recipe names files; give their folder with --data"),
        ("--data d --groups g", "--groups goes with --pairs; with --data, name the file in a"),
        ("--data d --recipe missing.toml", "No such file or directory: 'missing.toml'"),
    ],
)
def test_files_are_given_one_by_one_or_by_a_recipe(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: str, message: str
) -> None:
    assert main(["train", *options.split(), "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err


def test_a_missing_file_of_a_recipe_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The built-in recipe names the first file that the folder does not hold."""
    assert main(["train", "--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert str(tmp_path / "careful_groups.jsonl.gz") in capsys.readouterr().err


def test_sources_of_one_name_are_told_apart() -> None:
    sources = [Source(pairs=f"{folder}/labels.jsonl.gz", share=1) for folder in "abc"]
    assert names(sources) == ["labels", "labels (2)", "labels (3)"]


def test_a_source_is_cut_to_its_size(tmp_path: Path) -> None:
    rows = [{"prompt": f"p{k}", "a": "x", "b": "y", "label": k % 2} for k in range(50)]
    name = written(tmp_path / "pairs.jsonl", rows)
    (groups, everything) = (
        gather([Source(pairs=name, share=1, max_pairs=most)], tmp_path, "answer", 0)
        for most in (20, 80)
    )
    assert (len(groups), len(everything)) == (20, 50)


def test_labels_may_come_from_a_model(tmp_path: Path) -> None:
    """Old partitions may be wrong; a teacher's probabilities replace them."""
    row = {
        "prompt": "p",
        "generations": ["a red door", "a red  DOOR", "blue"],
        "partition": [0, 1, 0],
    }
    name = written(tmp_path / "groups.jsonl", [row])
    source = Source(groups=name, share=1, labels_by="exact")
    (labelled,) = gather([source], tmp_path, "answer", 0)
    assert labelled.target.tolist() == pytest.approx([0.98, 0.02, 0.02])


# What is made up.

RANDOM = np.random.default_rng


@pytest.mark.parametrize(
    "make", [short_answers, tool_calls, languages, look_alikes, lambda _: hand_written()]
)
def test_made_up_groups_have_texts_of_several_classes(
    make: Callable[[np.random.Generator], list[TeacherGroup]],
) -> None:
    groups, again = make(RANDOM(3)), make(RANDOM(3))
    assert [g.texts for g in groups] == [g.texts for g in again]
    for made in groups:
        assert len(made.texts) == len(made.partition)
        classes: dict[str, int] = {}
        for text, number in zip(made.texts, made.partition.tolist(), strict=True):
            assert text.strip()
            assert classes.setdefault(text, number) == number
        assert len(set(made.partition.tolist())) >= 2


@pytest.mark.parametrize("kind", [*KINDS, *LOOK_ALIKES])
def test_each_kind_of_short_answers_keeps_its_classes_apart(kind: Any) -> None:
    for seed in range(60):
        _, classes = kind(RANDOM(seed))
        texts = [set(wordings) for wordings in classes]
        assert 2 <= len(classes) <= 4
        for i, j in all_pairs(len(texts)).tolist():
            assert texts[i].isdisjoint(texts[j])


def test_a_wrapped_copy_keeps_answers_and_labels() -> None:
    cities = {"Kyoto": 0, "Kyōto, Japan": 0, "Lisbon": 1, "Lisboa": 1, "Cairo": 2}
    careful = list(of_groups([group("A city?", cities, 0.5)], 4, Noise(0.02, 0.02)))
    for seed in range(30):
        (copy,) = wrapped(careful, RANDOM(seed))
        assert copy.source == 4
        assert copy.stored is None
        origin = [
            next(
                name
                for name in sorted(cities, key=len, reverse=True)
                if name.lower() in text.lower()
            )
            for text in copy.texts
        ]
        for (i, j), target in zip(copy.pairs.tolist(), copy.target.tolist(), strict=True):
            one, same = origin[i] == origin[j], cities[origin[i]] == cities[origin[j]]
            assert target == pytest.approx(0.98 if one else 0.905 if same else 0.095)
    long = {essay(k, 80): k for k in range(5)}
    assert (
        wrapped(
            list(of_groups([group("p", long), group("q", {"a": 0, "b": 1})], 0, EXACT)), RANDOM(0)
        )
        == []
    )


def test_one_answer_in_two_wrappings_is_one_where_all_answers_differ() -> None:
    careful = list(of_groups([group("p", {"Kyoto": 0, "Lisbon": 1, "Cairo": 2})], 0, EXACT))
    copies = [wrapped(careful, RANDOM(seed))[0] for seed in range(20)]
    assert any(copy.same.any() for copy in copies)


def test_padding_adds_the_same_foreign_sentences_to_both_sides() -> None:
    pairs = [
        HumanPair(f"Prompt {k}?", essay(k, 60), essay(k + 1, 70), k % 2 == 0, "ann")
        for k in range(12)
    ]
    originals = list(of_pairs(pairs, 2, Noise()))
    longer = padded(originals, RANDOM(0))
    assert len(longer) == 12 // EVERY
    for copy, before in zip(longer, originals[::EVERY], strict=True):
        assert (copy.prompt, copy.labeler, copy.source) == (before.prompt, "ann", 2)
        assert copy.target.tolist() == before.target.tolist()
        added = [
            after.replace(text, "").split()
            for after, text in zip(copy.texts, before.texts, strict=True)
        ]
        assert added[0] == added[1]
        assert len(added[0]) >= 12


def test_texts_without_a_sentence_of_another_prompt_are_not_padded() -> None:
    """Answers of one word give no padding, and a single prompt no other's."""
    short = [HumanPair(f"p{k % 20}", "Paris", "London", False, "x") for k in range(40)]
    long = [HumanPair("p", f"This is a whole sentence {k}.", "b", False, "x") for k in range(9)]
    for pairs in (short, long):
        assert padded(list(of_pairs(pairs, 0, EXACT)), RANDOM(0)) == []


def bare(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.replace("{}", "").lower()))


def test_nothing_made_up_stands_in_what_classifiers_are_measured_on() -> None:
    """No phrase of the measured wrappings, no prompt of a suite, no text of it by hand."""
    data = ROOT / "models/darling_models/evaluation/data"
    wrappings = json.loads((data / "wrappings.json").read_text())["languages"].values()
    measured = {
        bare(phrase)
        for language in wrappings
        for part in ("openings", "frames", "closings")
        for phrase in language[part]
    }
    own = phrases()
    foreign = json.loads((DATA / "languages.json").read_text()).values()
    said = {*own.openings, *own.closings, *own.frames}
    said |= {p for part in foreign for k in ("openings", "closings", "frames") for p in part[k]}
    assert not {bare(phrase) for phrase in said} & measured - {""}
    answers = (data / "short_answers.jsonl").read_text()
    suite = [json.loads(line) for line in SUITE.read_text().splitlines()]
    short = [json.loads(line) for line in answers.splitlines()]
    makers = (short_answers, tool_calls, languages, look_alikes)
    made = [*hand_written(), *(g for make in makers for g in make(RANDOM(0)))]
    assert not {bare(g["prompt"]) for g in (*suite, *short)} & {bare(g.prompt) for g in made} - {""}
    texts = {bare(text) for g in suite for text in g["rollouts"]}
    long = {bare(t) for g in hand_written() for t in g.texts if len(bare(t).split()) > 3}
    assert not texts & long


# Steps of tuning.


def test_steps_take_sources_by_their_shares_and_groups_in_rounds() -> None:
    groups = [
        *of_groups([one_group(f"few {k}") for k in range(2)], 0, EXACT),
        *of_groups([one_group(f"many {k}") for k in range(40)], 1, EXACT),
    ]
    drawn = [g for step in steps(groups, {0: 0.75, 1: 0.25}, 100, 4, RANDOM(0)) for g in step]
    assert len(drawn) == 400
    few = [g.prompt for g in drawn if g.source == 0]
    assert 260 <= len(few) <= 340
    assert abs(few.count("few 0") - few.count("few 1")) <= 1
    many = [g.prompt for g in drawn if g.source == 1]
    assert max(many.count(p) for p in many) - min(many.count(g.prompt) for g in groups[2:]) <= 1


def one_group(prompt: str) -> TeacherGroup:
    return group(prompt, {"a": 0, "b": 1})
