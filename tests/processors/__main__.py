"""`make test-processors`: the tests marked `processor`, as on processors other than this one.

First with the instructions capped, as far as this one has them; a process that uses others than
the processor has would be killed, so a higher cap is skipped, by name. Then with what no cap can
show pretended (`pretence`).
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.processors.pretence import VARIABLE

WORKERS = os.environ.get("WORKERS", "2")
"""Processes that run tests side by side, as the Makefile's variable says."""
CPU_FLAGS = Path("/proc/cpuinfo")
AVX2 = {"avx2", "fma"}
BFLOAT16 = {"avx512_bf16", "amx_bf16"}
AVX512 = AVX2 | {"avx512f", "avx512bw", "avx512dq", "avx512vl"}


@dataclass(frozen=True, slots=True)
class Stand:
    """An environment that stands in for a processor."""

    needs: set[str]
    """Flags that this processor must have, as Linux reports them."""
    beyond: set[str]
    """Flags of what is capped: where this processor has none of them, `make test` ran as such."""
    pretended: str
    caps: dict[str, str] = field(default_factory=dict)


def capped(torch: str, onednn: str, mkl: str, openblas: str) -> dict[str, str]:
    """For all four that multiply matrices here; MKL heeds it on Intel's processors alone."""
    return {
        "ATEN_CPU_CAPABILITY": torch,
        "ONEDNN_MAX_CPU_ISA": onednn,
        "MKL_ENABLE_INSTRUCTIONS": mkl,
        "OPENBLAS_CORETYPE": openblas,
    }


STANDS = {
    "sse4": Stand({"sse4_1"}, {"avx"}, "float32", capped("default", "SSE41", "SSE4_2", "Nehalem")),
    "avx2": Stand(AVX2, {"avx512f"}, "float32", capped("avx2", "AVX2", "AVX2", "Haswell")),
    "avx512": Stand(
        AVX512, BFLOAT16, "float32", capped("avx512", "AVX512_CORE", "AVX512", "SkylakeX")
    ),
    "avx512-bf16": Stand(
        AVX512 | {"avx512_bf16"},
        {"amx_bf16"},
        "bfloat16",
        capped("avx512", "AVX512_CORE_BF16", "AVX512", "SkylakeX"),
    ),
    "float32-rounding": Stand(set(), set(), "float32,rounding"),
    "float32-laid-out": Stand(set(), set(), "float32,laid_out"),
    "bfloat16": Stand(set(), set(), "bfloat16"),
    "bfloat16-rounding": Stand(set(), set(), "bfloat16,rounding"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs each of `STANDS`, or those named; returns 1 if a test failed on any."""
    parser = argparse.ArgumentParser(prog="python -m tests.processors", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(STANDS)}")
    names = parser.parse_args(argv).names or list(STANDS)
    if unknown := set(names) - set(STANDS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    flags = set(CPU_FLAGS.read_text().split()) if CPU_FLAGS.exists() else set()
    failed = []
    for name in names:
        stand = STANDS[name]
        if missing := stand.needs - flags:
            print(f"skipped {name}: this processor lacks {', '.join(sorted(missing))}", flush=True)
            continue
        if stand.beyond and not stand.beyond & flags:
            print(f"skipped {name}: this processor has nothing beyond it to cap", flush=True)
            continue
        print(f"as {name}", flush=True)
        started = time.monotonic()
        command = [sys.executable, "-m", "pytest", "-m", "processor and not slow"]
        command += [f"--numprocesses={WORKERS}", "--dist=loadfile"]
        environment = os.environ | stand.caps | {VARIABLE: stand.pretended}
        status = subprocess.run(command, env=environment).returncode
        print(f"status {status} after {time.monotonic() - started:.0f} s", flush=True)
        if status:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", flush=True)
    return int(bool(failed))


sys.exit(main())
