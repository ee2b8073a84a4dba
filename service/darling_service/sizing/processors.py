"""Coefficients of the processors that were measured, and which of them this machine is like.

`python -m benchmarks.sizing` fits those of a machine, `python -m benchmarks.stored_sizing` those of
the stored run, and the H100's come from docs/performance.md.
Instructions decide what a core does: AMX multiplies bfloat16 in tiles, AVX-512 in vectors.
"""

from pathlib import Path

from darling_service.sizing.cost import EncoderCost, Memory, PairCost, Processor

CPU_INFO = Path("/proc/cpuinfo")

MEMORY = Memory(process=970 * 2**20, text=105_000, token=45)
"""The process on the Xeon with AMX after groups of mixed lengths, and what a group holds while it
is scored: a description for each text, and some copies of the text."""

PROCESSORS = {
    "amx": Processor(
        "Xeon with AMX, bfloat16, CPU seconds on a machine that others used",
        encoder=EncoderCost(group=0.0053, text=0.0120, token=1.456e-4, pair=0.0),
        cross_encoders=(("minilm", PairCost(pair=0.0088, token=9.3e-5, longest=512)),),
    ),
    "avx512-bf16": Processor(
        "EPYC (Zen 4, AVX-512 with bfloat16), quiet; wall-clock seconds times its two cores",
        encoder=EncoderCost(group=0.0301, text=0.0, token=1.474e-4, pair=7.46e-5),
        cross_encoders=(("minilm", PairCost(pair=0.0, token=1.464e-4, longest=512)),),
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
