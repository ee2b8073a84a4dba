"""`darling-reward size`: the cost model is arithmetic that a test can do by hand."""

import json
import math
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darling_models.embedded import encoder
from darling_models.protocol import all_pairs
from darling_service.cli.main import main
from darling_service.sizing.cost import EncoderCost, Memory, seconds
from darling_service.sizing.fit import fitted_encoder, fitted_pairs
from darling_service.sizing.fleet import Fleet, Plan, fleet
from darling_service.sizing.measure import passage, tokenizer_of_encoder, work_of_texts
from darling_service.sizing.processors import FLAGS, PROCESSORS, detected
from darling_service.sizing.work import (
    OVERLAP,
    WINDOW,
    Groups,
    PairReader,
    Work,
    encoder_tokens,
    work_of,
)

STEP = "--prompts 256 --rollouts 16 --tokens 4000 --step-seconds 60"
PLAN = Plan(step_seconds=60, busy=1, cores_per_replica=4, spare=0, cache_bytes=0)
SIZED = Groups(count=256, rollouts=16, tokens=4000, prompt_tokens=100)


def printed(capsys: pytest.CaptureFixture[str], words: str) -> str:
    assert main(["size", *words.split()]) == 0
    return capsys.readouterr().out


def test_a_step_is_counted_in_texts_tokens_and_pairs() -> None:
    work = work_of(Groups(count=10, rollouts=4, tokens=100, prompt_tokens=20))
    assert work.texts == 10 * 5
    assert work.tokens == 10 * (4 * 102 + 22)
    assert work.pairs == 10 * 6
    assert (work.read_pairs, work.pair_tokens) == (0, 0)


def test_a_cascade_reads_its_share_of_the_pairs_beside_all_texts() -> None:
    groups = Groups(count=10, rollouts=4, tokens=100, prompt_tokens=20)
    cascade = work_of(groups, pair_reader=PairReader(share=0.5))
    alone = work_of(groups, encoded=False, pair_reader=PairReader())
    assert cascade.texts == work_of(groups).texts
    assert (cascade.read_pairs, cascade.pair_tokens) == (30, 30 * 203)
    assert (alone.texts, alone.read_pairs, alone.pair_tokens) == (0, 60, 60 * 203)


def test_a_cross_encoder_reads_no_more_of_a_pair_than_it_can() -> None:
    work = work_of(SIZED, encoded=False, pair_reader=PairReader(max_tokens=512))
    assert work.pair_tokens == 256 * 120 * 512


def test_a_group_of_one_has_nothing_to_compare() -> None:
    work = work_of(Groups(count=7, rollouts=1, tokens=100, prompt_tokens=20))
    assert work == Work(groups=7)


@pytest.mark.parametrize("field", ["count", "tokens", "prompt_tokens"])
def test_groups_of_a_negative_size_are_refused(field: str) -> None:
    sizes = {"count": 1, "rollouts": 2, "tokens": 3.0, "prompt_tokens": 4.0}
    with pytest.raises(ValueError, match="at least 0"):
        Groups(**(sizes | {field: -1}))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def own() -> encoder.TextEncoder:
    return encoder.TextEncoder(encoder.wheel_weights())


def test_the_encoder_reads_as_many_tokens_as_are_counted(own: encoder.TextEncoder) -> None:
    """Over the lengths at which texts get another window."""
    assert (WINDOW, OVERLAP) == (encoder.WINDOW, encoder.OVERLAP)
    for length in (1, 31, 253, 254, 255, 476, 477, 1000, 4000):
        ids = np.zeros(length, dtype=np.int64)
        read = sum(len(window.sequence) for window in own.windows(ids))
        assert read == pytest.approx(encoder_tokens(length), rel=0.01), length


def test_texts_are_counted_as_the_model_counts_them(own: encoder.TextEncoder) -> None:
    texts = [passage(random.Random(seed), words) for seed, words in enumerate((5, 200, 900))]
    work = work_of_texts("Explain.", texts, tokenizer_of_encoder())
    tokenized = own.tokenize(["Explain.", *texts])
    read = sum(len(window.sequence) for text in tokenized for window in own.windows(text.ids))
    assert work.tokens == pytest.approx(read, rel=0.01)
    assert (work.texts, work.pairs) == (4, len(all_pairs(3)))


costs = st.floats(1e-6, 1.0)


@settings(deadline=None)
@given(costs, costs, costs, costs)
def test_a_fit_finds_the_costs_that_made_the_runs(
    group: float, text: float, token: float, pair: float
) -> None:
    cost = EncoderCost(group, text, token, pair)
    sizes = ((2, 10), (2, 500), (4, 2000), (16, 20), (32, 100), (64, 5))
    works = [work_of(Groups(1, rollouts, tokens, 20)) for rollouts, tokens in sizes]
    found = fitted_encoder([(work, seconds(work, cost, None)) for work in works])
    for work in works:
        assert seconds(work, found, None) == pytest.approx(seconds(work, cost, None), rel=1e-3)


def test_no_cost_is_negative() -> None:
    """Noise that would make a coefficient negative makes it 0."""
    works = [Work(read_pairs=1, pair_tokens=tokens) for tokens in (10, 100, 1000)]
    found = fitted_pairs([(works[0], 0.0095), (works[1], 0.1), (works[2], 1.0)], longest=1000)
    assert found.pair == 0
    assert found.token == pytest.approx(0.001, rel=0.05)


def test_too_few_runs_are_refused() -> None:
    with pytest.raises(ValueError, match="4 coefficients cannot be fitted to 1 runs"):
        fitted_encoder([(Work(groups=1), 1.0)])
    with pytest.raises(ValueError, match="no seconds"):
        fitted_pairs([(Work(read_pairs=1), 0.0)] * 2, longest=1)


def sized(core_seconds: float, **changed: float) -> Fleet:
    plan = Plan(**({f: getattr(PLAN, f) for f in Plan.__slots__} | changed))
    return fleet(SIZED, core_seconds, plan, Memory(process=100, text=10, token=1))


@settings(deadline=None)
@given(st.floats(0.1, 1e6), st.floats(0.1, 1e4), st.floats(0.05, 1), st.integers(1, 64))
def test_a_fleet_is_the_smallest_that_is_in_time(
    core_seconds: float, step_seconds: float, busy: float, per_replica: int
) -> None:
    plan = Plan(step_seconds, busy, per_replica, spare=0, cache_bytes=0)
    found = fleet(SIZED, core_seconds, plan, None)
    capacity = step_seconds * busy * (1 + 1e-6)
    assert found.cores * capacity >= core_seconds
    assert found.cores == 1 or (found.cores - 1) * step_seconds * busy < core_seconds
    assert found.replicas == math.ceil(found.cores / per_replica)


def test_spare_replicas_come_on_top() -> None:
    assert sized(600).replicas == 3
    assert sized(600, spare=2).replicas == 5


def test_memory_is_what_a_replica_holds_of_the_step() -> None:
    found = sized(60 * 4 * 256, cache_bytes=1000)  # a replica for each group
    assert found.replicas == 256
    assert found.replica_bytes == 100 + 1000 + 17 * 10 + (16 * 4000 + 100)
    assert found.total_bytes == 256 * found.replica_bytes


@pytest.mark.parametrize("wrong", [{"step_seconds": 0}, {"busy": 1.1}, {"cores_per_replica": 0}])
def test_a_plan_that_no_fleet_can_meet_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="above 0"):
        sized(60, **wrong)


@pytest.mark.parametrize("name", [name for name, one in PROCESSORS.items() if one.encoder])
def test_the_printed_cores_do_the_printed_work(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    document = json.loads(printed(capsys, f"{STEP} --processor {name} --busy 0.5 --json"))
    cost = PROCESSORS[name].encoder
    expected = seconds(work_of(Groups(256, 16, 4000, 200)), cost, None)
    assert document["seconds_on_one"] == pytest.approx(expected)
    assert document["cores"] == math.ceil(expected / 30)
    assert document["replicas"] == math.ceil(document["cores"] / 4)
    assert document["total_bytes"] == document["replicas"] * document["replica_bytes"]


def test_people_read_what_programs_read(capsys: pytest.CaptureFixture[str]) -> None:
    words = f"{STEP} --processor amx --spare 1"
    document, text = json.loads(printed(capsys, f"{words} --json")), printed(capsys, words)
    assert f"cores     {document['cores']}, busy for 70% of the time" in text
    assert f"replicas  {document['replicas']} of 4 cores, 1 of them spare" in text
    assert document["processor"] in text


def test_a_cascade_costs_the_default_and_its_share_of_the_pairs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def cost(words: str) -> float:
        document = json.loads(printed(capsys, f"{STEP} --processor avx512-bf16 --json {words}"))
        return float(document["seconds_on_one"])

    default, pairs = cost(""), cost("--model cross-encoder:minilm")
    both = cost("--model cascade:minilm --share 0.25")
    assert both == pytest.approx(default + 0.25 * pairs)


def test_a_gpu_reads_pairs_at_the_measured_rate(capsys: pytest.CaptureFixture[str]) -> None:
    words = f"{STEP} --processor h100 --model cross-encoder:minilm"
    document = json.loads(printed(capsys, f"{words} --json"))
    assert document["seconds_on_one"] == pytest.approx(256 * 120 * 512 / 2.41e6)
    assert (document["unit"], document["cores_per_replica"]) == ("GPU", 1)
    text = printed(capsys, words)
    assert "memory    not measured" in text
    assert "note      a GPU needs CPU cores beside it" in text


def test_pairs_longer_than_measured_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    words = f"{STEP} --processor h100 --model cross-encoder:modernbert-base --pair-tokens 8192"
    assert "pairs of 8,003 tokens are longer than those measured (1,022)" in printed(capsys, words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--model gpt", "--model is 'gpt'; it is embedded, cross-encoder:NAME or cascade:NAME"),
        ("--model cross-encoder", "--model is 'cross-encoder'"),
        ("--model embedded:DIR", "--model is 'embedded:DIR'"),
        ("--model cascade:minilm", "--share is missing"),
        ("--share 0.5", "--share belongs to a cascade; leave it out for embedded"),
        ("--processor abacus", "--processor is 'abacus'; it is one of amx"),
        ("--processor h100", "embedded was not measured on h100; choose another --processor"),
        ("--processor amx --measure", "leave --processor out"),
        (
            "--processor avx512-bf16 --model cross-encoder:mine",
            "the cross-encoder 'mine' was not measured on avx512-bf16, but minilm",
        ),
    ],
)
def test_a_question_without_an_answer_is_refused_with_the_cure(
    capsys: pytest.CaptureFixture[str], words: str, message: str
) -> None:
    assert main(["size", *STEP.split(), *words.split()]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("flag", "value", "message"),
    [
        ("--prompts", "0", "'0' is not an integer at least 1"),
        ("--rollouts", "many", "'many' is not an integer at least 1"),
        ("--tokens", "nan", "'nan' is not a number at least 1"),
        ("--step-seconds", "0", "'0' is not a number above 0"),
        ("--step-seconds", "inf", "'inf' is not a number above 0"),
        ("--busy", "1.5", "'1.5' is not a number above 0 and at most 1"),
        ("--share", "2", "'2' is not a number at least 0 and at most 1"),
        ("--spare", "-1", "'-1' is not an integer at least 0"),
    ],
)
def test_a_wrong_number_is_refused_by_name(
    capsys: pytest.CaptureFixture[str], flag: str, value: str, message: str
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["size", *STEP.split(), flag, value])
    assert stop.value.code == 2
    assert f"argument {flag}: {message}" in capsys.readouterr().err


@pytest.mark.parametrize(("flag", "name"), FLAGS)
def test_a_machine_is_told_by_its_best_instructions(tmp_path: Path, flag: str, name: str) -> None:
    flags = [flag for flag, _ in FLAGS]
    (file := tmp_path / "cpuinfo").write_text(f"flags : fpu {' '.join(flags[flags.index(flag) :])}")
    assert detected(file) == name
    assert name in PROCESSORS


def test_a_machine_like_none_in_the_table_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--measure"):
        detected(tmp_path / "cpuinfo")


@pytest.mark.processor
def test_this_machine_can_be_measured(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    smaller = ((2, 5), (2, 60), (4, 30), (12, 4), (24, 3))
    monkeypatch.setattr("darling_service.sizing.measure.GROUPS", smaller)
    document = json.loads(printed(capsys, f"{STEP} --measure --json"))
    assert document["processor"] == "this machine, CPU seconds"
    assert document["seconds_on_one"] > 0
    assert document["cores"] == math.ceil(document["seconds_on_one"] / 42)
