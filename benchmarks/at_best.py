"""sentence-transformers in its fastest settings, in an interpreter of its own.

Its ONNX and OpenVINO backends pin transformers to versions that exclude each other and ours, so
each setting runs in the environment that has it (`benchmarks.peers_at_best`). This program imports
nothing of ours. It reads a line of JSON, {"kind", "checkpoint", "backend", "quantized", "dtype"},
loads the model, answers {"versions"}, and then answers each line, a list of pairs or of texts, with
{"wall", "cpu", "values"}: seconds, and probabilities of pairs or cosines of the texts' vectors.
"""

import json
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

MAX_TOKENS = 512
NAMED = ("sentence-transformers", "transformers", "torch", "onnxruntime", "openvino")


def main() -> None:
    asked = json.loads(sys.stdin.readline())
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries print, too
    run = loaded(asked)
    tell(answers, {"versions": versions()})
    for line in sys.stdin:
        items = json.loads(line)
        wall, cpu = time.perf_counter(), time.process_time()
        values = run(items)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        tell(answers, {"wall": wall, "cpu": cpu, "values": values})


def tell(stream: Any, answer: dict[str, Any]) -> None:
    stream.write(json.dumps(answer) + "\n")
    stream.flush()


def loaded(asked: dict[str, Any]) -> Any:
    """What computes a list of pairs or of texts by the setting."""
    from sentence_transformers import CrossEncoder, SentenceTransformer

    kind = CrossEncoder if asked["kind"] == "pairs" else SentenceTransformer
    about: dict[str, Any] = {"backend": asked["backend"], "device": "cpu"}
    more: dict[str, Any] = {}
    if asked["dtype"]:
        more["torch_dtype" if version("transformers") < "5" else "dtype"] = asked["dtype"]
    if asked["quantized"]:
        more["file_name"] = quantized(kind(asked["checkpoint"], **about), asked)
    model: Any = kind(asked["checkpoint"], model_kwargs=more, **about)
    if asked["kind"] == "pairs":
        model.max_length = MAX_TOKENS
        return lambda items: [float(p) for p in model.predict(items, show_progress_bar=False)]
    model.max_seq_length = MAX_TOKENS

    def cosines(items: list[str]) -> list[list[float]]:
        vectors = model.encode(items, normalize_embeddings=True, show_progress_bar=False)
        found: list[list[float]] = (vectors @ vectors.T).astype(float).tolist()
        return found

    return cosines


def quantized(model: Any, asked: dict[str, Any]) -> str:
    """Writes the ONNX model in int8 beside the checkpoint, and returns its file name."""
    from sentence_transformers import export_dynamic_quantized_onnx_model

    folder = Path(asked["checkpoint"])
    before = set(folder.rglob("*.onnx"))
    export_dynamic_quantized_onnx_model(model, asked["quantized"], str(folder))
    (made,) = set(folder.rglob("*.onnx")) - before
    return str(made.relative_to(folder))


def versions() -> dict[str, str]:
    known = {}
    for name in NAMED:
        try:
            known[name] = version(name)
        except PackageNotFoundError:
            continue
    return known


if __name__ == "__main__":
    main()
