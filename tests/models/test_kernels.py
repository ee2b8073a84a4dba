"""Kernels by trial: the fastest that give a text the same bits in any company, kept and pinned."""

import itertools
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from darling_models.errors import ModelError
from darling_models.options import ModelOptions
from darling_models.protocol import IntArray
from darling_models.registry import load
from darling_models.runtime import attention, kernel_cache, kernel_trial, linear, packed
from darling_models.runtime import kernels as runtime_kernels
from darling_models.runtime.bert import Shape
from darling_models.runtime.kernel_trial import MARGIN, Candidate, preferred
from darling_models.runtime.kernels import ALONE, PACKS, ROWS, Choice, Kernels, rows_named
from darling_models.runtime.packed import PackedEncoder
from tests.models.test_cross_encoder import bert
from tests.models.test_packed import encoder, firsts, sequence
from tests.models.test_packed import packed as packed_encoder

DEFAULT = Kernels.default(torch.float32)
ONE_BY_ONE = replace(DEFAULT, pack=ALONE)
LENGTHS = (4, 9, 9, 17, 33, 70, 200, 300)
SECONDS = kernel_trial.seconds
Patch = pytest.MonkeyPatch


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: Patch) -> Path:
    """A cache folder in which nothing is stored yet, and measurements that favour nothing."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    with_times(monkeypatch, {})
    return folder


def with_times(monkeypatch: Patch, times: dict[Any, float]) -> None:
    """Measurements of kernels and packs that give these seconds, and 1 for all others."""

    def seconds(runs: Any, budget: float) -> dict[Any, float]:
        return {name: times.get(name, 1.0) for name in runs}

    monkeypatch.setattr(kernel_trial, "seconds", seconds)


def made(threads: int = 1) -> PackedEncoder:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return packed_encoder(encoder("bert"))
    finally:
        torch.set_num_threads(before)


def kernels_of(model: PackedEncoder) -> Kernels:
    assert model.choice is not None
    return model.choice.kernels


def require_invariant(model: PackedEncoder) -> None:
    sequences = [sequence(length) for length in LENGTHS]
    for run in (hidden, firsts):
        together = run(model, sequences)
        for index, one in enumerate(sequences):
            assert torch.equal(together[index], run(model, [one])[0])


def hidden(model: PackedEncoder, sequences: list[IntArray]) -> dict[int, torch.Tensor]:
    return dict(model.hidden(sequences))


def patch_products(monkeypatch: Patch, shift: Callable[[int], float | torch.Tensor]) -> None:
    """Linear layers whose results grow by a share that depends on their number of rows."""

    def product(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, weight, bias) * (1 + shift(len(x)))

    monkeypatch.setattr(linear, "functional", SimpleNamespace(linear=product))
    monkeypatch.setattr(linear, "prepacks", lambda: False)


ODD_ROWS = [
    (lambda n: n < 16, "16"),
    (lambda n: n < 17, "32"),
    (lambda n: n < 33, "48"),
    (lambda n: n < 49, "64"),
    (lambda n: n < 65, "128"),
    (lambda n: n < 48 or n >= 384, "48-256"),
    (lambda n: n < 48 or n == 192 or n > 256, "48-128"),
    (lambda n: n, "64-64"),
]


@pytest.mark.parametrize(("odd", "rows"), ODD_ROWS, ids=[rows for _, rows in ODD_ROWS])
def test_products_have_numbers_of_rows_that_do_not_round_by_them(
    odd: Callable[[int], bool], rows: str, monkeypatch: Patch
) -> None:
    """With AMX, oneDNN's products round in two ways, by their number of rows."""
    patch_products(monkeypatch, lambda n: 1e-3 * odd(n))
    model = made()
    assert rows_named(kernels_of(model).least_rows, kernels_of(model).most_rows) == rows
    assert model.choice is not None
    assert ("round otherwise" in model.choice.reason) == (rows != "16")
    require_invariant(model)


@pytest.mark.heavy
@pytest.mark.parametrize("threads", [1, 16])
def test_products_that_round_by_place_leave_each_text_alone(
    threads: int, monkeypatch: Patch, own_cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With as many threads as texts in the trial, too, and another start tries again. Its processes
    choose alike, whatever each has measured."""
    patch_products(monkeypatch, lambda n: 1e-6 * torch.arange(n)[:, None])
    with_times(monkeypatch, {"f": 2.0})
    model = made(threads)
    with_times(monkeypatch, {"p": 2.0})
    assert kernels_of(model) == kernels_of(made(threads)) == ONE_BY_ONE
    require_invariant(model)
    assert not list(own_cache.rglob("*.json"))
    patch_products(monkeypatch, lambda n: 0)
    assert not kernels_of(made(threads)).alone


@pytest.mark.parametrize("cause", ["company", "place"])
def test_a_kernel_of_attention_that_rounds_by_company_is_not_chosen(
    cause: str, monkeypatch: Patch
) -> None:
    really = attention.one_length

    def one_length(query: Any, key: Any, value: Any, kernel: str, rows: int) -> torch.Tensor:
        mixed = really(query, key, value, kernel, rows)
        if kernel == "f":
            count = len(mixed)
            by_place = torch.arange(count).view(-1, 1, 1, 1)
            mixed = mixed * (1 + 1e-3 * (count if cause == "company" else by_place))
        return mixed

    monkeypatch.setattr(attention, "one_length", one_length)
    model = made()
    assert (kernels_of(model).whole, kernels_of(model).odd) == ("ppppp", "ppppp")
    require_invariant(model)


@pytest.mark.parametrize(
    ("fused", "plain", "whole", "odd"),
    [
        (1.0, 1.0, "fffff", "ffppp"),
        (1.45, 1.0, "fffff", "ffppp"),
        (1.75, 1.0, "fffff", "ffppp"),
        (1.85, 1.0, "ppppp", "ppppp"),
        (1.0, 1.85, "fffff", "fffff"),
    ],
)
def test_attention_is_replaced_only_by_what_is_clearly_faster(
    fused: float, plain: float, whole: str, odd: str, monkeypatch: Patch
) -> None:
    with_times(monkeypatch, {"f": fused, "p": plain})
    model = made()
    assert (kernels_of(model).whole, kernels_of(model).odd) == (whole, odd)
    require_invariant(model)


def test_in_bfloat16_fused_attention_is_chosen_where_it_is_far_faster(monkeypatch: Patch) -> None:
    """Times of four texts of 256 tokens, 12 heads of 32, on two cores with AMX."""
    with_times(monkeypatch, {"f": 2.2, "b": 6.1, "p": 6.5})
    monkeypatch.setattr(kernel_trial.Texts, "alike", lambda self, letter: True)
    monkeypatch.setattr(PackedEncoder, "invariant", lambda self, kernels: True)
    chosen = kernels_of(packed_encoder(encoder("bert"), torch.bfloat16))
    assert (chosen.whole, chosen.odd) == ("fffff", "fffff")


@pytest.mark.parametrize(
    ("instructions", "letters"),
    [(["avx512_bf16"], "bbbbb"), (["avx512_bf16", "amx_bf16"], "fffff"), (["bf16"], "bbbbb")],
)
def test_in_bfloat16_the_default_of_attention_is_fused_with_amx(
    instructions: list[str], letters: str, monkeypatch: Patch
) -> None:
    """So that machines with AMX choose alike without a measurement."""
    monkeypatch.setattr(runtime_kernels, "bfloat16_instructions", lambda: instructions)
    default = Kernels.default(torch.bfloat16)
    assert (default.whole, default.odd) == (letters, letters)
    assert Kernels.default(torch.float32) == DEFAULT


@pytest.mark.parametrize("size", PACKS)
def test_packs_are_as_big_as_is_fastest_and_change_no_bit(size: int, monkeypatch: Patch) -> None:
    usual = made()
    kernel_cache.folder().rename(kernel_cache.folder().with_name("of another machine"))
    with_times(monkeypatch, {n: 1.0 + (n != size) for n in PACKS})
    model = made()
    assert kernels_of(model).pack == size
    sequences = [sequence(length) for length in LENGTHS * 3]
    states, expected = dict(model.hidden(sequences)), dict(usual.hidden(sequences))
    assert all(torch.equal(states[index], expected[index]) for index in expected)
    assert model.bits() == usual.bits()


@given(
    st.dictionaries(st.sampled_from("fbp"), st.floats(0.3, 3.0), min_size=3),
    st.lists(st.floats(0.95, 1.05), min_size=3, max_size=3),
)
def test_equal_machines_choose_alike_although_measurements_differ(
    times: dict[str, float], noise: list[float]
) -> None:
    """Where no kernel is near the margin, and none of those beyond it near the fastest."""
    ratios = [times["b"] / times[name] for name in "fp"]
    fast = [ratio for ratio in ratios if ratio > MARGIN]
    near = any(MARGIN / 1.2 < ratio < MARGIN * 1.2 for ratio in ratios)
    if near or (len(fast) == 2 and max(fast) / min(fast) < 1.2):
        return
    noisy = {name: times[name] * n for name, n in zip("fbp", noise, strict=True)}
    assert preferred(times, "b", MARGIN)[0] == preferred(noisy, "b", MARGIN)[0]


def test_the_order_holds_every_kernel_once() -> None:
    for times in itertools.permutations((1.0, 2.0, 4.0)):
        named = dict(zip("fbp", times, strict=True))
        assert sorted(preferred(named, "b", MARGIN)) == ["b", "f", "p"]


@pytest.fixture
def trials(monkeypatch: Patch) -> list[int]:
    """Grows by an entry with each trial."""
    count: list[int] = []

    def choose(candidate: Candidate) -> Choice:
        count.append(1)
        return kernel_trial.choose(candidate)

    monkeypatch.setattr(packed, "choose", choose)
    return count


@pytest.mark.heavy
def test_measured_kernels_are_invariant_and_measuring_ends_in_time(monkeypatch: Patch) -> None:
    monkeypatch.setattr(kernel_trial, "seconds", SECONDS)
    started = time.process_time()
    model = made()
    assert time.process_time() - started < 6, "some 1.5 s"
    require_invariant(model)


def test_a_machine_tries_once(trials: list[int], own_cache: Path) -> None:
    first, second = made(), made()
    assert len(trials) == 1
    assert kernels_of(first) == kernels_of(second)
    assert first.bits() == second.bits()
    assert second.choice is not None
    assert second.choice.reason.endswith("(tried at an earlier start)")
    (file,) = own_cache.rglob("*.json")
    assert file.parent == own_cache / "darling-reward" / "kernels"
    assert json.loads(file.read_text())["kernels"] == str(kernels_of(first))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"kernels": 1, "reason": ""}',
        '{"kernels": "rows=3"}',
        "\x00",
        pytest.param("[" * 99_999, id="deep"),
    ],
)
def test_a_file_that_holds_no_choice_is_replaced(
    text: str, trials: list[int], own_cache: Path
) -> None:
    made()
    (file,) = own_cache.rglob("*.json")
    whole = file.read_text()
    file.write_text(text)
    made()
    assert (len(trials), file.read_text()) == (2, whole)


def test_of_two_that_try_at_once_the_first_chooses_for_both(monkeypatch: Patch) -> None:
    """As when model processes start together on a new machine: noise must not part them."""
    first, second = Choice(DEFAULT, "first"), Choice(replace(DEFAULT, odd="fffff"), "second")

    def slower() -> Choice:
        assert kernel_cache.cached(lambda: first, {}, lambda kernels: True) == first
        return second

    assert kernel_cache.cached(slower, {}, lambda kernels: True).kernels == first.kernels


def test_kept_kernels_that_round_by_company_here_are_tried_again(
    trials: list[int], own_cache: Path, monkeypatch: Patch, caplog: pytest.LogCaptureFixture
) -> None:
    """As after a new microcode or hypervisor, which no name of a processor shows."""
    assert kernels_of(made()).least_rows == 16
    patch_products(monkeypatch, lambda n: 1e-3 * (n < 32))
    model = made()
    assert kernels_of(model).least_rows == 32
    require_invariant(model)
    assert "kept kernels give other bits in other company" in caplog.text
    (file,) = own_cache.rglob("*.json")
    assert json.loads(file.read_text())["kernels"] == str(kernels_of(model))
    assert kernels_of(made()).least_rows == 32
    assert len(trials) == 2


@pytest.mark.parametrize("change", [{"for": {"processor": "other"}}, {"kernels": str(ONE_BY_ONE)}])
def test_a_file_of_another_machine_or_one_that_only_slows_down_is_replaced(
    change: dict[str, Any], trials: list[int], own_cache: Path
) -> None:
    made()
    (file,) = own_cache.rglob("*.json")
    whole = file.read_text()
    file.write_text(json.dumps(json.loads(whole) | change))
    assert not kernels_of(made()).alone
    assert (len(trials), file.read_text()) == (2, whole)


def test_without_a_folder_every_start_tries(
    trials: list[int], own_cache: Path, monkeypatch: Patch
) -> None:
    file = own_cache / "file"
    file.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(file / "below"))
    made()
    monkeypatch.setattr(kernel_cache, "folder", no_home)
    made()
    assert len(trials) == 2


def no_home() -> Path:
    raise RuntimeError("Could not determine home directory.")


def test_a_relative_cache_folder_is_ignored(monkeypatch: Patch) -> None:
    for value in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert kernel_cache.folder() == Path.home() / ".cache" / "darling-reward" / "kernels"


@pytest.mark.parametrize(
    "cpu_info",
    [
        "model name : Xeon\nflags : avx2\n\nmodel name : Xeon\nflags : avx2\n",
        "model name : Xeon\nflags : amx_bf16 avx2\n",
        "model name : Other\nflags : avx2\n",
        "Features : asimd bf16\n",
        None,
    ],
)
def test_another_machine_tries_for_itself(
    cpu_info: str | None, trials: list[int], tmp_path: Path, monkeypatch: Patch
) -> None:
    made()
    if cpu_info is not None:
        (tmp_path / "cpuinfo").write_text(cpu_info)
    monkeypatch.setattr(kernel_cache, "CPU_INFO", tmp_path / "cpuinfo")
    made()
    made()
    assert len(trials) == 2


def test_a_steered_library_tries_for_itself(trials: list[int], monkeypatch: Patch) -> None:
    made()
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    made()
    assert len(trials) == 2


@given(
    st.builds(
        lambda rows, *rest: Kernels(*rows, *rest),
        st.sampled_from(ROWS),
        st.sampled_from((1, *PACKS)),
        st.text("fbp", min_size=5, max_size=5),
        st.text("fbp", min_size=5, max_size=5),
    )
)
def test_kernels_read_as_they_are_written(kernels: Kernels) -> None:
    assert Kernels.parse(str(kernels)) == kernels


@given(st.sampled_from(ROWS), st.integers(1, 5000))
def test_a_matrix_is_filled_up_little_and_divided_into_equal_blocks(
    rows: tuple[int, int], wanted: int
) -> None:
    least, most = rows
    kernels = replace(DEFAULT, least_rows=least, most_rows=most)
    filled, blocks = kernels.filled(wanted), kernels.blocks(kernels.filled(wanted))
    assert filled >= wanted
    assert filled % (16 * blocks) == 0
    assert filled // blocks >= least
    if most:
        assert filled // blocks <= most
    assert filled < wanted + 16 * blocks or filled == least * blocks


WRONG = [
    "",
    "fast",
    "AUTO",
    "rows=16",
    "rows=17,pack=1024,whole=fffff,odd=ffppp",
    "rows=16-256,pack=1024,whole=fffff,odd=ffppp",
    "rows=48-0,pack=1024,whole=fffff,odd=ffppp",
    "rows=48-,pack=1024,whole=fffff,odd=ffppp",
    "rows=16,pack=9,whole=fffff,odd=ffppp",
    "rows=16,pack=1024,whole=ffff,odd=ffppp",
    "rows=16,pack=1024,whole=fffff,odd=ffppx",
    "rows=16,pack=1024,whole=fffff,odd=ffppp,",
    " rows=16,pack=1024,whole=fffff,odd=ffppp",
]


@pytest.mark.parametrize("text", WRONG)
def test_what_names_no_kernels_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not of the form|numbers that nothing is"):
        Kernels.parse(text)


def test_a_model_refuses_what_names_no_kernels(tmp_path: Path) -> None:
    bert(tmp_path, num_labels=2)
    for name in (f"cross-encoder:{tmp_path}", "embedded"):
        with pytest.raises(ModelError, match=r"the setting kernels is wrong: 'fast'.*leave it out"):
            load(name, ModelOptions(kernels="fast"))


def test_a_setting_pins_kernels_and_the_revision_tells_bits_apart(tmp_path: Path) -> None:
    bert(tmp_path, num_labels=2)
    name = f"cross-encoder:{tmp_path}"

    def revision(kernels: str) -> str:
        info = load(name, ModelOptions(runtime="float32", kernels=kernels)).info
        assert info.kernels == kernels
        assert info.kernels_reason == "the setting kernels names them"
        return info.revision

    usual = load(name, ModelOptions(runtime="float32")).info
    assert usual.kernels is not None
    pinned = Kernels.parse(usual.kernels)
    own = rows_named(pinned.least_rows, pinned.most_rows)
    same = {
        revision(f"rows={rows},pack={pack},whole={pinned.whole},odd={pinned.odd}")
        for rows, pack in ((own, 256), ("128", pinned.pack), (own, 1))
    }
    assert same == {usual.revision}, "rows and packs change no bit"
    assert revision(f"rows=128,pack=256,whole=ppppp,odd={pinned.odd}") != usual.revision


def test_pinned_kernels_that_round_by_company_are_refused(monkeypatch: Patch) -> None:
    patch_products(monkeypatch, lambda n: 1e-3 * (n < 32))
    model = encoder("bert")
    shape = Shape.read(model.config.to_dict())
    assert shape is not None
    with pytest.raises(ModelError, match=r"kernels is rows=16,.*other bits in other company"):
        PackedEncoder(model.state_dict(), shape, kernels=str(DEFAULT))
    pinned = f"rows=32,pack=1024,whole={DEFAULT.whole},odd={DEFAULT.odd}"
    require_invariant(PackedEncoder(model.state_dict(), shape, kernels=pinned))


def test_a_checkpoint_that_does_not_run_packed_refuses_kernels(tmp_path: Path) -> None:
    bert(tmp_path, num_labels=2)
    with pytest.raises(ModelError, match=r"checkpoints that run packed.*leave it out"):
        load(f"cross-encoder:{tmp_path}", ModelOptions(runtime="tiles", kernels=str(DEFAULT)))


@pytest.mark.heavy
def test_a_cascade_names_and_takes_the_kernels_of_both_stages(tmp_path: Path) -> None:
    bert(tmp_path, num_labels=2)
    name = f"cascade:cross-encoder:{tmp_path}"
    first, second = (
        "rows=64,pack=256,whole=fffff,odd=ffppp",
        "rows=128,pack=512,whole=fffff,odd=fffff",
    )
    both = load(name, ModelOptions(runtime="float32", kernels=f"{first}+{second}"))
    assert both.info.kernels == f"{first}+{second}"
    one = load(name, ModelOptions(runtime="float32", kernels=first)).info.kernels
    assert one is not None
    assert one.startswith(f"{first}+rows=")
    with pytest.raises(ModelError, match="names two choices"):
        load(
            "cascade:judge:m@http://127.0.0.1:9/v1",
            ModelOptions(runtime="float32", kernels=f"{first}+{second}"),
        )
