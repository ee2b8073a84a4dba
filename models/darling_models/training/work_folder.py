"""The folder in which a long training keeps what it has done, so that a rerun goes on from there.

What is kept belongs to one set of labels and choices; a folder begun with others is refused.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from darling_models.embedded.encoder import TextEncoder
from darling_models.embedded.features import FEATURES
from darling_models.embedded.late_interaction import Lexicon
from darling_models.keys import content_key
from darling_models.training.encoder.tuning import Tuned
from darling_models.training.labelled_groups import LabelledGroup

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class WorkFolder:
    """Where encoders come from, and where what took long is kept."""

    weights: Path
    folder: Path
    seed: int
    device: str = "cpu"

    def encoder(self, tuned: Mapping[str, torch.Tensor] | None = None) -> TextEncoder:
        return TextEncoder(self.weights, self.device, tuned)

    def begin(
        self,
        groups: Sequence[LabelledGroup],
        shares: Mapping[int, float],
        recipe: Any,
        folds: int,
        begun: Tuned | None = None,
    ) -> None:
        """`begun`: the tuned encoder and the lexicon that features are made with; None: published.

        Raises `ValueError` if the folder keeps the work of other rows or choices."""
        pairs = content_key(*(str(group.pairs.tolist()) for group in groups))
        labels = [f"{g.target.tolist()} {g.weight} {g.labeler} {g.source} {g.tied}" for g in groups]
        # The head alone is fitted to labels where the encoder is not tuned.
        learnt = {} if recipe is None else {"labels": content_key(*labels).hex(), "shares": shares}
        check_manifest(
            self.folder,
            {
                "rows": content_key(
                    *(text for group in groups for text in (group.prompt, *group.texts)),
                    pairs.hex(),
                ).hex(),
                **{name: json.loads(json.dumps(value)) for name, value in learnt.items()},
                "features": content_key(*FEATURES).hex(),
                "encoder": self.encoder(begun.layers if begun else None).fingerprint(),
                "lexicon": _digest(begun.lexicon) if begun else None,
                "recipe": None if recipe is None else asdict(recipe),
                "folds": folds,
                "seed": self.seed,
            },
        )


def _digest(lexicon: Lexicon) -> str:
    arrays = (lexicon.idf, lexicon.token_mean, lexicon.projection, lexicon.salience)
    return blake2b(b"".join(array.tobytes() for array in arrays), digest_size=16).hexdigest()


def check_manifest(folder: Path, choices: dict[str, Any]) -> None:
    """Writes what a folder's work depends on, or raises `ValueError` if it depends on other."""
    path = folder / MANIFEST
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(choices, indent=2) + "\n")
        return
    try:
        begun = json.loads(path.read_text())
        other = [name for name, value in choices.items() if begun.get(name) != value]
    except (ValueError, AttributeError):
        raise ValueError(f"{path} is not readable; give another folder, or remove it") from None
    if other:
        raise ValueError(
            f"{folder} was begun with other {', '.join(other)}; give another folder, or remove it"
        )


def save_arrays(path: Path, **arrays: NDArray[Any]) -> None:
    """An .npz that, once it is there, is complete."""
    new = path.with_name(f"new-{path.name}")
    np.savez(new, allow_pickle=False, **arrays)
    new.replace(path)
