"""The trained pair head: features to a calibrated probability, evaluated in NumPy.

Standardise and clip, one hidden layer with SiLU, then Platt scaling (a logistic map fitted on
out-of-fold logits). The artefact is `head.safetensors` beside `head.json`, and
`encoder.safetensors` where the encoder is tuned; nothing is unpickled.
"""

import json
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from safetensors.torch import load_file as load_torch

from darling_models.checkpoints import let_others_read
from darling_models.embedded.encoder import Vectors
from darling_models.embedded.features import FEATURES
from darling_models.embedded.late_interaction import Lexicon
from darling_models.errors import ModelError
from darling_models.protocol import FloatArray, Linkage, OperatingPoint, Steps, finished

CLIP = 6.0
BLOCK = 32
"""Pairs that are multiplied at a time, never more nor less: a product of another shape rounds
otherwise, and a pair's probability would depend on how many others are asked for."""
SLICE = 32 * BLOCK
"""Pairs whose features are standardised at a time: all of a group of 512 would take 1.4 GB."""
TUNED = "encoder.safetensors"
ARRAYS = "head.safetensors"
CHOICES = "head.json"


@dataclass(frozen=True, slots=True)
class Network:
    """One hidden layer over standardised features."""

    mean: Vectors
    """Shape (features,)."""
    scale: Vectors
    """Shape (features,)."""
    hidden_weight: Vectors
    """Shape (features, hidden)."""
    hidden_bias: Vectors
    """Shape (hidden,)."""
    output_weight: Vectors
    """Shape (hidden,)."""
    output_bias: Vectors
    """Shape (1,)."""

    def logits(self, features: Vectors) -> FloatArray:
        """Shape (m,) from (m, features)."""
        return finished(self.logits_in_steps(features))

    def logits_in_steps(self, features: Vectors) -> Steps[FloatArray]:
        """What `logits` returns, in steps."""
        logits = np.empty(len(features))
        for start in range(0, len(features), SLICE):
            logits[start : start + SLICE] = self._logits(features[start : start + SLICE])
            yield
        return logits

    def _logits(self, features: Vectors) -> FloatArray:
        rows = -(-len(features) // BLOCK) * BLOCK
        x = np.zeros((rows, features.shape[1]))
        x[: len(features)] = (features.astype(np.float64) - self.mean) / self.scale
        blocks = np.clip(x, -CLIP, CLIP).reshape(-1, BLOCK, features.shape[1])
        hidden = blocks @ self.hidden_weight.astype(np.float64) + self.hidden_bias
        hidden *= sigmoid(hidden)
        logits: FloatArray = hidden @ self.output_weight.astype(np.float64) + self.output_bias[0]
        return logits.reshape(-1)[: len(features)]


@dataclass(frozen=True, slots=True)
class PairHead:
    network: Network
    lexicon: Lexicon
    slope: float
    intercept: float
    """Platt scaling: P = sigmoid(slope * logit + intercept)."""
    thresholds: dict[OperatingPoint, float]
    linkage: Linkage
    settles: bool = False
    """Whether strings overrule the network where they settle a pair (`strings.settled`). A head
    that was trained on labels of one's own decides alone: its labels may see it otherwise."""

    def probabilities(self, features: Vectors) -> FloatArray:
        """Calibrated P(equivalent), shape (m,), from (m, len(FEATURES))."""
        return finished(self.probabilities_in_steps(features))

    def probabilities_in_steps(self, features: Vectors) -> Steps[FloatArray]:
        """What `probabilities` returns, in steps."""
        logits = yield from self.network.logits_in_steps(features)
        return sigmoid(self.slope * logits + self.intercept)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(_arrays(self.network) | _arrays(self.lexicon), folder / ARRAYS)
        choices = {
            "features": list(FEATURES),
            "slope": self.slope,
            "intercept": self.intercept,
            "thresholds": self.thresholds,
            "linkage": self.linkage,
            "settles": self.settles,
        }
        (folder / CHOICES).write_text(json.dumps(choices, indent=2) + "\n")
        let_others_read(folder)

    @classmethod
    def load(cls, folder: Path) -> "PairHead":
        """Raises `ModelError` if the folder holds no head for these features."""
        try:
            arrays = load_file(folder / ARRAYS)
            choices = json.loads((folder / CHOICES).read_text())
            if "balanced" not in choices["thresholds"]:
                raise ModelError(f"the head in {folder} has no balanced threshold; train it again")
            if choices.pop("features") != list(FEATURES):
                raise ModelError(f"the head in {folder} is of other features; train it again")
            return cls(
                network=Network(**{n: arrays[f"Network.{n}"] for n in Network.__slots__}),
                lexicon=Lexicon(**{n: arrays[f"Lexicon.{n}"] for n in Lexicon.__slots__}),
                **choices,
            )
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise ModelError(f"cannot read a pair head from {folder}: {error}") from error


def load_tuned(folder: Path) -> dict[str, torch.Tensor]:
    """The encoder's tuned weights by name; none where the head is for the encoder as published.

    Raises `ModelError` if they cannot be read.
    """
    path = folder / TUNED
    try:
        return load_torch(path) if path.exists() else {}
    except (OSError, SafetensorError) as error:
        raise ModelError(f"cannot read tuned weights from {path}: {error}") from error


def fingerprint(folder: Path) -> str:
    """Changes with any number of the head."""
    digest = blake2b(digest_size=8)
    for name in (ARRAYS, CHOICES):
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()


def sigmoid(x: FloatArray) -> FloatArray:
    return 1.0 / (1.0 + np.exp(-np.clip(x, -500, 500)))


def _arrays(record: Network | Lexicon) -> dict[str, Vectors]:
    kind = type(record)
    return {
        f"{kind.__name__}.{name}": np.ascontiguousarray(getattr(record, name), dtype=np.float32)
        for name in kind.__slots__
    }
