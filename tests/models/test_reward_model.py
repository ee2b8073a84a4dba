"""Reward models: what they read of an input, and what does not fit."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from darling_models.errors import ModelError
from darling_models.reward_model import ModelInput, RewardModel
from tests import checkpoints
from tests.cpu_time import too_dear

LIMIT = 48
"""Tokens that the models of these tests read; their tokenizers make one of each character."""
USER = [{"role": "user", "content": "A city?"}]
CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>{% endfor %}"
)
MAKERS = {"bert": checkpoints.bert, "qwen3": checkpoints.qwen3, "gpt2": checkpoints.gpt2}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {name: tmp_path_factory.mktemp(name) for name in MAKERS}
    for name, folder in made.items():
        MAKERS[name](folder, num_labels=1)
    return made


def ids(tokenizer: Any, text: str) -> list[int]:
    tokens: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return tokens


def tokens_of(one: ModelInput) -> list[int]:
    read: list[int] = one.sequence[0].tolist()
    return read


@pytest.mark.parametrize("length", [0, 1, 20, 45, 46, 47, 500])
def test_an_encoder_keeps_its_special_tokens(folders: dict[str, Path], length: int) -> None:
    """A response that fits is whole: the prompt gives way, from its beginning."""
    model, tokenizer = (
        RewardModel(str(folders["bert"]), max_length=LIMIT),
        AutoTokenizer.from_pretrained(folders["bert"]),
    )
    cls, sep = tokenizer.cls_token_id, tokenizer.sep_token_id
    response, prompt = ("0123456789" * 50)[:length], "abcdefghijklmnopqrstuvwxyz"
    read = model.encode([{"role": "user", "content": prompt}], response)
    kept_response = ids(tokenizer, response)[-(LIMIT - 3) :]
    room = LIMIT - 3 - len(kept_response)
    kept_prompt = ids(tokenizer, prompt)[-room:] if room else []
    assert tokens_of(read) == [cls, *kept_prompt, sep, *kept_response, sep]
    assert read.truncated == (length + len(prompt) + 3 > LIMIT)
    written = model.encode_written(prompt + response)
    expected = ids(tokenizer, prompt + response)[-(LIMIT - 2) :]
    assert tokens_of(written) == [cls, *expected, sep]
    assert written.truncated == (length + len(prompt) + 2 > LIMIT)


@pytest.mark.parametrize("over", [-1, 0, 1, 1000])
def test_the_limit_is_exact(folders: dict[str, Path], over: int) -> None:
    for name, frame in (("bert", 3), ("gpt2", 0), ("qwen3", 0)):
        model = RewardModel(str(folders[name]), max_length=LIMIT)
        read = model.encode(USER, "x" * (LIMIT - frame - len("A city?") + over))
        assert read.truncated == (over > 0), name
        assert len(tokens_of(read)) == min(LIMIT + over, LIMIT), name


def test_written_special_tokens_are_not_doubled(folders: dict[str, Path]) -> None:
    model = RewardModel(str(folders["bert"]), max_length=LIMIT)
    once = model.encode_written("Kyoto")
    assert tokens_of(model.encode_written("[CLS]Kyoto[SEP]")) == tokens_of(once)
    long = model.encode_written("[CLS]" + "Kyoto" * 99 + "[SEP]")
    assert tokens_of(long)[:1] == tokens_of(once)[:1]
    assert tokens_of(long)[-1:] == tokens_of(once)[-1:]
    assert long.truncated
    assert len(tokens_of(long)) == LIMIT


def test_a_decoder_keeps_the_end_and_its_first_token(tmp_path: Path) -> None:
    checkpoints.qwen3(tmp_path, num_labels=1)
    (tmp_path / "chat_template.jinja").write_text(CHAT)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    tokenizer.bos_token = "<|im_start|>"
    tokenizer.save_pretrained(tmp_path)
    model = RewardModel(str(tmp_path), max_length=LIMIT)
    long = [{"role": "user", "content": "why " * 99}]
    read = model.encode(long, "Kyoto.")
    turns = [*long, {"role": "assistant", "content": "Kyoto."}]
    whole = ids(tokenizer, str(tokenizer.apply_chat_template(turns, tokenize=False)))
    assert tokens_of(read) == [whole[0], *whole[-(LIMIT - 1) :]]
    assert read.truncated


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("response", ["?", "Kyoto.", "Kyoto. " * 200])
def test_scores_are_those_of_transformers(
    folders: dict[str, Path], name: str, response: str
) -> None:
    """Segment ids included: a BERT tells prompt and response apart by them."""
    ours = RewardModel(str(folders[name]), max_length=LIMIT)
    tokenizer = AutoTokenizer.from_pretrained(folders[name])
    model = AutoModelForSequenceClassification.from_pretrained(folders[name]).eval()
    read = ours.encode(USER, response)
    fits = not read.truncated
    batch = (
        tokenizer("A city?", response, return_tensors="pt")
        if fits
        else {"input_ids": torch.from_numpy(read.sequence[:1])}
    )
    if not fits and name == "bert":
        batch["token_type_ids"] = torch.from_numpy(read.sequence[1:])
    with torch.inference_mode():
        expected = float(model(**batch).logits[0, 0])
    other = ours.encode(USER, "Oslo")
    assert ours.scores([other, read])[1] == pytest.approx(expected, abs=1e-5)
    assert ours.scores([read]) == ours.scores([other, read])[1:]


def test_an_input_without_tokens_has_a_score(folders: dict[str, Path]) -> None:
    model = RewardModel(str(folders["gpt2"]))
    nothing = model.encode([{"role": "user", "content": ""}], "")
    assert torch.isfinite(torch.tensor(model.scores([nothing, model.encode_written("")]))).all()


def test_a_broken_model_is_refused_at_the_start(tmp_path: Path) -> None:
    model = checkpoints.bert(tmp_path, num_labels=1)
    with torch.no_grad():
        model.classifier.weight.fill_(float("nan"))
    model.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="not finite"):
        RewardModel(str(tmp_path))


def test_a_window_that_is_too_wide_or_too_narrow_is_refused(folders: dict[str, Path]) -> None:
    with pytest.raises(ModelError, match="set max_length"):
        RewardModel(str(folders["gpt2"]), max_length=200)  # it has 64 positions
    with pytest.raises(ModelError, match="leave no room"):
        RewardModel(str(folders["bert"]), max_length=3)


@pytest.mark.heavy
@pytest.mark.parametrize(
    "unit", [".", "(", " ", "\n", "$", "word", "\u201c", "[SEP]", "- a\n", "\\"]
)
def test_reading_takes_time_linear_in_the_text(folders: dict[str, Path], unit: str) -> None:
    model = RewardModel(str(folders["bert"]), max_length=LIMIT)

    def read(text: str) -> None:
        model.encode(USER, text)
        model.encode_written(text)

    few, many = (unit * (characters // len(unit)) for characters in (10_000, 100_000))
    assert not too_dear(read, few, many, noise_s=0.05)
