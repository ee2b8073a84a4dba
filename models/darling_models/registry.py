"""The classifiers that can be loaded by name, such as `embedded` or `cross-encoder:PATH_OR_ID`.

To add one, write a module with this function and give it a row in `BACKENDS`:

    def load(name: str, target: str, options: ModelOptions) -> EquivalenceClassifier:
        '''The classifier called `name`; `target` is the part behind its colon, or "".'''

The module is imported when a classifier of its row is first loaded, so that a lexical one never
imports torch. The row names the settings that the classifier reads: `load` refuses any other.
"""

from collections.abc import Set
from dataclasses import dataclass, fields, replace
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from darling_models.checkpoints import locate
from darling_models.errors import ModelError
from darling_models.options import DEFAULT_OPTIONS, ModelOptions
from darling_models.protocol import EquivalenceClassifier
from darling_models.trial import try_out

ALWAYS_READ = frozenset({"threshold", "linkage", "notion", "device", "model_timeout_s"})
"""Settings of the partition, which every classifier has, the notion, which a classifier refuses by
itself where it does not have it, and those of the service that it is a part of: a classifier
without local weights has nothing to put on its device."""
ENCODER = frozenset({"runtime", "kernels"})
CHECKPOINT = ENCODER | {"max_length", "max_tokens_per_text", "similar_label", "pair_template"}
JUDGE = frozenset(
    {"judge_domain", "judge_criterion", "judge_verdict", "judge_parameters", "judge_api_key"}
)


class Loader(Protocol):
    def __call__(self, name: str, target: str, options: ModelOptions) -> EquivalenceClassifier: ...


@dataclass(frozen=True, slots=True)
class Backend:
    """One kind of classifier: how its name is written, what it is, where it is, what it reads."""

    usage: str
    """`kind`, `kind:TARGET`, or `kind[:TARGET]` where the target may be left out."""
    description: str
    module: str
    """The module in `darling_models` whose `load` makes it."""
    reads: frozenset[str] = frozenset()
    """Fields of `ModelOptions` beside those of `ALWAYS_READ`."""
    reads_as_target: bool = False
    """Whether the target is itself a model's name, whose settings are then read too."""
    loads_checkpoint: bool = False
    """Whether the target is the folder of a checkpoint, or its id on the Hugging Face hub."""
    copied: bool = True
    """Whether other processes may compute it, with a copy of it each (`Copied`)."""

    @property
    def kind(self) -> str:
        return self.usage.partition(":")[0].rstrip("[")

    @property
    def takes_target(self) -> bool:
        return ":" in self.usage

    @property
    def needs_target(self) -> bool:
        return self.takes_target and "[" not in self.usage.partition(":")[0]


BACKENDS = (
    Backend(
        "embedded[:DIR]",
        "the default: encodes each rollout once, then a trained, calibrated pair head; "
        "DIR: a head of your own, from `darling-reward train --out DIR`",
        "embedded.classifier",
        ENCODER,
    ),
    Backend(
        "exact",
        "equal text, up to case, white space and Unicode compatibility form",
        "lexical",
        copied=False,
    ),
    Backend("ngram", "Jaccard similarity of word 4-gram sets", "lexical", copied=False),
    Backend("unigram", "Jaccard similarity of word sets", "lexical", copied=False),
    Backend(
        "cross-encoder:PATH_OR_ID",
        "any Hugging Face sequence-classification checkpoint",
        "cross_encoder.classifier",
        CHECKPOINT,
        loads_checkpoint=True,
    ),
    Backend(
        "noveltybench-deberta[:PATH_OR_ID]",
        "NoveltyBench's DeBERTa-v3-large as published",
        "cross_encoder.classifier",
        CHECKPOINT,
        loads_checkpoint=True,
    ),
    Backend(
        "darling-modernbert:PATH_OR_ID",
        "a ModernBERT fed and cut off as DARLING's for chat",
        "cross_encoder.classifier",
        CHECKPOINT,
        loads_checkpoint=True,
    ),
    Backend(
        "darling-qwen3:PATH_OR_ID",
        "a Qwen3 fed and cut off as DARLING's for mathematics",
        "cross_encoder.classifier",
        CHECKPOINT,
        loads_checkpoint=True,
    ),
    Backend(
        "remote:[MODEL@]URL,URL",
        "servers that answer POST /classify in vLLM's wire format",
        "remote.classifier",
        frozenset({"pair_template", "similar_label"}),
        copied=False,
    ),
    Backend(
        "judge:MODEL@BASE_URL",
        "an LLM asked through an OpenAI-compatible /chat/completions",
        "llm_judge.classifier",
        JUDGE,
        copied=False,
    ),
    Backend(
        "cascade:MODEL",
        "the embedded head for clear pairs, a pairwise MODEL for the rest",
        "cascade",
        ENCODER,
        reads_as_target=True,
    ),
    Backend(
        "embeddings[:PATH_OR_ID]",
        "cosine of sentence-transformers vectors, one per rollout",
        "embeddings",
        frozenset({"max_length"}),
        loads_checkpoint=True,
    ),
    Backend(
        "answers",
        "equal final answers, by math-verify (needs the extra `math`)",
        "final_answers.classifier",
    ),
)

CATALOGUE = {backend.usage: backend.description for backend in BACKENDS}
"""What can be loaded, as `darling-reward models` lists it."""
LEXICAL = tuple(backend.kind for backend in BACKENDS if backend.module == "lexical")
"""The baselines that need no model."""


def load(name: str, options: ModelOptions = DEFAULT_OPTIONS) -> EquivalenceClassifier:
    """Loads a classifier by its name.

    Raises `ModelError` if the name is unknown, its weights are unusable, its first answers are no
    probabilities, or a setting is changed that it does not read.
    """
    backend, target = _find(name)
    unread = changed_settings(options) - settings_read(name)
    if unread:
        raise ModelError(_refusal(name, unread))
    if backend.loads_checkpoint and target:
        locate(target)  # a mistyped path is said before the libraries are imported, for seconds
    loader = cast(Loader, import_module(f"darling_models.{backend.module}").load)
    classifier = loader(name, target, options)
    try_out(name, classifier)
    return classifier


def settings_read(name: str) -> Set[str]:
    """The fields of `ModelOptions` that the classifier of this name reads.

    Raises `ModelError` if the name is unknown.
    """
    backend, target = _find(name)
    own = ALWAYS_READ | backend.reads
    return own | settings_read(target) if backend.reads_as_target else own


def is_copied(name: str) -> bool:
    """Whether other processes may compute the classifier of this name, with a copy of it each.

    Raises `ModelError` if the name is unknown.
    """
    backend, target = _find(name)
    return backend.copied and (not backend.reads_as_target or is_copied(target))


def folder_of(name: str) -> Path | None:
    """The folder that holds the weights of the classifier of this name, with its card.

    None for a classifier without weights on this machine, and for a checkpoint that the hub's cache
    holds. Raises `ModelError` if the name is unknown.
    """
    backend, target = _find(name)
    if backend.reads_as_target:
        return folder_of(target)
    if backend.kind == "embedded" and not target:
        return Path(__file__).parent / "embedded/artefact"
    folder = Path(target).expanduser()
    has_weights = backend.kind == "embedded" or backend.loads_checkpoint
    return folder if target and has_weights and folder.is_dir() else None


def changed_settings(options: ModelOptions) -> Set[str]:
    """The fields that differ from their defaults."""
    names = (field.name for field in fields(options))
    return {name for name in names if getattr(options, name) != getattr(DEFAULT_OPTIONS, name)}


def only_read(name: str, options: ModelOptions) -> ModelOptions:
    """The options without the settings that the classifier of this name does not read.

    For a model that is loaded beside the one whose settings these are. Raises `ModelError` if the
    name is unknown.
    """
    unread = changed_settings(options) - settings_read(name)
    return replace(options, **{field: getattr(DEFAULT_OPTIONS, field) for field in unread})


def _find(name: str) -> tuple[Backend, str]:
    """(backend, target) of a classifier's name."""
    kind, colon, target = name.partition(":")
    backend = next((backend for backend in BACKENDS if backend.kind == kind), None)
    if backend is None or (colon and not backend.takes_target):
        raise ModelError(f"unknown model {name!r}; choose one of: {', '.join(CATALOGUE)}")
    if not target and backend.needs_target:
        raise ModelError(f"the model {name!r} is incomplete; write {backend.usage}")
    return backend, target


def _refusal(name: str, unread: Set[str]) -> str:
    listed = ", ".join(sorted(unread))
    readers = [b.usage for b in BACKENDS if not b.reads_as_target and unread <= b.reads]
    instead = f", or choose a model that reads it: {', '.join(readers)}" if readers else ""
    return f"the model {name!r} does not read the setting {listed}; leave it out{instead}"
