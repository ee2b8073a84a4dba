"""The longest input of any architecture: RoBERTa counts positions from behind its padding's id."""

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from darling_models.errors import ModelError
from darling_models.options import ModelOptions
from darling_models.protocol import ONE_PAIR, EquivalenceClassifier, Windowed
from darling_models.registry import load
from tests.checkpoints import sentence_encoder, tiny

PAIR = ModelOptions(pair_template="<s>{a}</s></s>{b}</s>")
LONG = ["so it goes on " * 300, "and on it goes " * 300]
LAYERS: dict[str, Any] = {"n_embd": 32, "n_layer": 2, "n_head": 2}
SIZES: dict[str, dict[str, Any]] = {
    "bert": {},
    "roberta": {},
    "xlm-roberta": {},
    "camembert": {},
    "mpnet": {},
    "electra": {"embedding_size": 32},
    "albert": {"embedding_size": 32},
    "distilbert": {"dim": 32, "hidden_dim": 48, "n_layers": 2, "n_heads": 2},
    "opt": {"word_embed_proj_dim": 32, "ffn_dim": 48},
    "gpt2": LAYERS,
    "modernbert": {},
    "qwen3": {"num_key_value_heads": 1, "head_dim": 16},
}
BEHIND_PADDING = {"roberta", "xlm-roberta", "camembert", "mpnet"}
LIMITS = pytest.mark.parametrize("limit", [None, 70, 10**30, 40])
"""`model_max_length` of the tokenizer; 70 is what the config says of positions."""


def positions(kind: str) -> int:
    """Tokens that a checkpoint with 70 positions and padding token 1 can read."""
    return 68 if kind in BEHIND_PADDING else 70


def limit_tokenizer(folder: Path, limit: int | None) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if limit is not None:
        tokenizer.model_max_length = limit
    tokenizer.save_pretrained(folder)


def read_whole(classifier: EquivalenceClassifier) -> list[tuple[int, bool]]:
    """(tokens, truncated) of long texts, which give a result at all."""
    results = classifier.run(classifier.plan("", LONG, ONE_PAIR).units)
    assert all(result.fault is None for result in results)
    return [(result.tokens, result.truncated) for result in results]


@LIMITS
@pytest.mark.parametrize("kind", SIZES)
@pytest.mark.parametrize("runtime", ["float32", "tiles"])
def test_a_cross_encoder_reads_as_much_as_it_has_positions_for(
    tmp_path: Path, kind: str, limit: int | None, runtime: Any
) -> None:
    tiny(kind, tmp_path, max_position_embeddings=70, **SIZES[kind])
    limit_tokenizer(tmp_path, limit)
    options = ModelOptions(pair_template=PAIR.pair_template, runtime=runtime)
    classifier = load(f"cross-encoder:{tmp_path}", options)
    window = min(positions(kind), limit or positions(kind))
    assert isinstance(classifier, Windowed)
    assert classifier.window == window
    assert read_whole(classifier) == [(window, True)]


@LIMITS
@pytest.mark.parametrize("kind", ["bert", "roberta", "xlm-roberta", "mpnet", "modernbert"])
def test_sentence_encoders_likewise(tmp_path: Path, kind: str, limit: int | None) -> None:
    folder = tmp_path / "saved"
    sentence_encoder(folder, kind, max_position_embeddings=70, **SIZES[kind])
    limit_tokenizer(folder, limit)
    window = min(positions(kind), limit or positions(kind))
    classifier = load(f"embeddings:{folder}")
    assert read_whole(classifier) == [(window, True)] * 2


@pytest.mark.parametrize("kind", ["bert", "roberta", "opt", "gpt2"])
def test_a_setting_beyond_the_positions_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    tiny(kind, tmp_path, max_position_embeddings=70, **SIZES[kind])
    most = positions(kind)
    for wanted in (most + 1, 5000):
        options = ModelOptions(pair_template=PAIR.pair_template, max_length=wanted)
        with pytest.raises(ModelError, match=f"max_length is {wanted}.*positions for {most} tok"):
            load(f"cross-encoder:{tmp_path}", options)
    load(f"cross-encoder:{tmp_path}", ModelOptions(pair_template="{a}</s>{b}", max_length=most))


def test_a_length_in_the_config_beyond_the_positions_is_refused(tmp_path: Path) -> None:
    tiny("roberta", tmp_path, max_position_embeddings=70, equivalence_max_length=70)
    with pytest.raises(ModelError, match="positions for 68 tokens"):
        load(f"cross-encoder:{tmp_path}", PAIR)


def test_a_sentence_encoder_is_not_set_beyond_its_positions(tmp_path: Path) -> None:
    sentence_encoder(tmp_path / "saved", "roberta", max_position_embeddings=70)
    with pytest.raises(ModelError, match=r"max_length is 70.*positions for 68 tokens"):
        load(f"embeddings:{tmp_path / 'saved'}", ModelOptions(max_length=70))


def test_tokens_of_each_text_may_exceed_the_window(tmp_path: Path) -> None:
    tiny("roberta", tmp_path, max_position_embeddings=70)
    options = ModelOptions(pair_template=PAIR.pair_template, max_tokens_per_text=5000)
    assert read_whole(load(f"cross-encoder:{tmp_path}", options)) == [(68, True)]
