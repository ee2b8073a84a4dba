"""The number format that models compute in, and the line of the log that says why."""

import logging
from pathlib import Path

import pytest
import torch

from darling_models.options import ModelOptions
from darling_models.registry import load
from darling_models.runtime.precision import dtype_of, name_of, reason
from tests.models.test_cross_encoder import bert


def test_the_log_says_what_a_model_computes_in_and_why(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bert(tmp_path, num_labels=2)
    second = f"cross-encoder:{tmp_path}"
    with caplog.at_level(logging.INFO, "darling_models"):
        info = load("embedded").info
        load(f"cascade:{second}", ModelOptions(runtime="tiles"))
    by_precision = [message for message in caplog.messages if " computes in " in message]
    (of_embedded, of_first_stage) = [m for m in caplog.messages if " runs with kernels " in m]
    assert of_embedded == f"embedded runs with kernels {info.kernels}: {info.kernels_reason}"
    assert of_first_stage.startswith("embedded runs with kernels rows=")
    assert by_precision == [
        f"embedded computes in {name_of(dtype_of('auto', 'cpu'))}: {reason('auto', 'cpu')}",
        "embedded computes in float32: the setting runtime is float32",
        f"{second} computes in float32: the setting runtime is tiles",
    ]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("avx2 avx512_bf16 amx_bf16", "has instructions for bfloat16 (avx512_bf16, amx_bf16)"),
        ("asimd bf16", "has instructions for bfloat16 (bf16)"),
        ("avx2 avx512f", "reports no instructions for bfloat16"),
        (None, "reports no instructions for bfloat16"),
    ],
)
def test_the_reason_names_the_instructions(
    tmp_path: Path, flags: str | None, expected: str
) -> None:
    cpu_info = tmp_path / "cpuinfo"
    if flags is not None:
        cpu_info.write_text(f"flags : fpu {flags} fsrm\n")
    assert reason("auto", "cpu", cpu_info) == f"this CPU {expected}"
    assert reason("bfloat16", "cpu", cpu_info) == "the setting runtime is bfloat16"


@pytest.mark.parametrize("native", [True, False])
def test_a_gpu_is_asked_itself(monkeypatch: pytest.MonkeyPatch, native: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native)
    assert dtype_of("auto", "cuda:1") == (torch.bfloat16 if native else torch.float32)
    said = "has" if native else "reports no"
    assert reason("auto", "cuda:1") == f"the device cuda:1 {said} instructions for bfloat16"
