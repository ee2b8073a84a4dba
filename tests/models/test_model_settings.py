"""The settings that each classifier reads; any other is refused, by `load` and by `serve`."""

import asyncio
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from darling_models.errors import ModelError
from darling_models.options import ModelOptions
from darling_models.registry import BACKENDS, load
from darling_service.pipeline import Pipeline
from darling_service.settings import Settings
from tests.models.test_cross_encoder import bert

CHANGED: dict[str, Any] = {
    "threshold": 0.9,
    "linkage": "complete",
    "notion": "approach",
    "device": "a device that nobody has",
    "model_timeout_s": 7.0,
    "runtime": "float32",
    "kernels": "rows=16,pack=256,whole=fffff,odd=fffff",
    "max_length": 64,
    "max_tokens_per_text": 32,
    "similar_label": 0,
    "pair_template": "[CLS]{a}[SEP]{b}[SEP]",
    "judge_domain": "creative",
    "judge_criterion": "Two jokes are the same if their punch lines are.",
    "judge_verdict": "json",
    "judge_parameters": '{"max_tokens": 9}',
    "judge_api_key": "secret",
}
ALWAYS = ["threshold", "linkage", "notion", "device", "model_timeout_s"]
ENCODER = [*ALWAYS, "runtime", "kernels"]
CHECKPOINT = [*ENCODER, "max_length", "max_tokens_per_text", "similar_label", "pair_template"]
JUDGE = [
    *ALWAYS,
    *("judge_domain", "judge_criterion", "judge_verdict", "judge_parameters", "judge_api_key"),
]
JUDGE_NAME = "judge:referee@http://127.0.0.1:9/v1"
READ: dict[str, list[str]] = {
    "embedded": ENCODER,
    "exact": ALWAYS,
    "ngram": ALWAYS,
    "unigram": ALWAYS,
    "cross-encoder:/nowhere": CHECKPOINT,
    "noveltybench-deberta:/nowhere": CHECKPOINT,
    "darling-modernbert:/nowhere": CHECKPOINT,
    "darling-qwen3:/nowhere": CHECKPOINT,
    "remote:http://127.0.0.1:9": [*ALWAYS, "similar_label", "pair_template"],
    JUDGE_NAME: JUDGE,
    f"cascade:{JUDGE_NAME}": [*ENCODER, *JUDGE],
    "cascade:cross-encoder:/nowhere": CHECKPOINT,
    "embeddings:/nowhere": [*ALWAYS, "max_length"],
    "answers": ALWAYS,
}


def refused(name: str, setting: str) -> bool:
    """Whether the setting is refused. Other errors, such as missing weights, do not count."""
    try:
        load(name, ModelOptions(**{setting: CHANGED[setting]}))
    except ModelError as error:
        return f"the model {name!r} does not read the setting {setting}; leave it out" in str(error)
    return False


def test_the_table_holds_every_classifier_and_every_setting() -> None:
    assert {name.partition(":")[0] for name in READ} == {backend.kind for backend in BACKENDS}
    assert CHANGED.keys() == {field.name for field in fields(ModelOptions)}


@pytest.mark.parametrize("name", READ)
def test_a_setting_is_read_or_refused(name: str) -> None:
    assert [setting for setting in CHANGED if not refused(name, setting)] == [
        setting for setting in CHANGED if setting in READ[name]
    ]


def test_the_cure_names_the_models_that_read_the_setting() -> None:
    with pytest.raises(ModelError, match=r"choose a model that reads it: judge:MODEL@BASE_URL$"):
        load("embedded", ModelOptions(judge_domain="creative"))
    with pytest.raises(ModelError, match=r"setting judge_domain, pair_template; leave it out$"):
        load("exact", ModelOptions(judge_domain="creative", pair_template="{a}{b}"))


def test_a_cascade_computes_both_stages_as_it_is_told(tmp_path: Path) -> None:
    bert(tmp_path, num_labels=2)
    name = f"cascade:cross-encoder:{tmp_path}"
    plain = load(name, ModelOptions(runtime="float32")).info
    fed = load(name, ModelOptions(runtime="float32", pair_template="{a}[SEP]{b}")).info
    assert plain.revision != fed.revision, "the second stage reads the template"
    load(name, ModelOptions(runtime="tiles"))


def test_serve_refuses_a_setting_of_the_environment_that_the_model_does_not_read() -> None:
    command = [sys.executable, "-m", "darling_service.cli", "serve", "--port", "0"]
    environment = {**os.environ, "DARLING_PAIR_TEMPLATE": "{a}{b}"}
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert run.returncode == 2
    assert "the model 'embedded' does not read the setting pair_template; leave it" in run.stderr
    assert "Traceback" not in run.stderr


async def models(settings: Settings) -> list[str]:
    pipeline = Pipeline(settings)
    await pipeline.start()
    try:
        return [info.id for info in pipeline.models()]
    finally:
        await pipeline.stop()


def test_the_baselines_beside_a_model_do_not_get_its_settings(tmp_path: Path) -> None:
    bert(tmp_path, num_labels=2)
    settings = Settings(
        model=f"cross-encoder:{tmp_path}", pair_template="[CLS]{a}[SEP]{b}[SEP]", runtime="float32"
    )
    assert asyncio.run(models(settings)) == [
        f"cross-encoder:{tmp_path}",
        "exact",
        "ngram",
        "unigram",
    ]


def test_a_reward_model_may_have_a_length_beside_a_classifier_that_has_none() -> None:
    settings = Settings(model="exact", quality="reward-model:/nowhere", max_length=64)
    assert "exact" in asyncio.run(models(settings))
    with pytest.raises(ModelError, match="does not read the setting max_length"):
        asyncio.run(models(settings.model_copy(update={"quality": "constant"})))
    wrong = settings.model_copy(update={"runtime": "float32"})
    with pytest.raises(ModelError, match="does not read the setting runtime"):
        asyncio.run(models(wrong))
