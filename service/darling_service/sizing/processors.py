"""Coefficients of the processors that were measured, and which of them this machine is like.

`python -m benchmarks.sizing` measures a row of the table; those of the H100 come from
docs/performance.md. Instructions decide what a core of this service does: AMX multiplies bfloat16
in tiles, AVX-512 in vectors, and with neither the default classifier computes in float32.
"""

from pathlib import Path

from darling_service.sizing.cost import EncoderCost, Memory, PairCost, Processor

CPU_INFO = Path("/proc/cpuinfo")
CAPPED = "the same Xeon, its libraries capped to {} by their environment variables"

MEMORY = Memory(process=560 * 2**20, text=105_000, token=45)
"""The process after groups of 400 words (docs/performance.md), and what a group holds while it is
scored: a description for each text, and some copies of the text."""

PROCESSORS = {
    "amx": Processor(
        "Xeon with AMX, bfloat16",
        encoder=EncoderCost(0.012, 0.0059, 0.000107, 4.3e-6),
    ),
    "h100": Processor(
        "H100 (80 GB) beside 16 threads of a Xeon, bfloat16, wall-clock seconds; rollouts of 400 "
        "words, tokenising included",
        unit="GPU",
        cross_encoders=(
            ("minilm", PairCost(0.0, 1 / 2.41e6, 512)),
            ("modernbert-base", PairCost(0.0, 1 / 0.96e6, 1022)),
            ("deberta-v3-large", PairCost(0.0, 1 / 0.161e6, 512)),
        ),
    ),
}

FLAGS = (
    ("amx_bf16", "amx"),
    ("avx512_bf16", "avx512-bf16"),
    ("avx512f", "avx512"),
    ("avx2", "avx2"),
)
"""Linux's names of instructions, and the processor of the table that has no better ones."""


def detected(cpu_info: Path = CPU_INFO) -> str:
    """The name of the processor in the table that this machine is like.

    Raises `ValueError` where it is like none.
    """
    flags = set(cpu_info.read_text().split()) if cpu_info.exists() else set()
    for flag, name in FLAGS:
        if flag in flags:
            return name
    raise ValueError(
        "this processor is like none that was measured; name one with --processor "
        f"({', '.join(PROCESSORS)}), or measure this one with --measure"
    )
