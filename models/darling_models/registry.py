"""Classifiers by name, such as `embedded` or `cross-encoder:PATH_OR_ID`; `CATALOGUE` lists them.

Loading is lazy: a lexical classifier never imports torch.
"""

from pathlib import Path

from darling_models.cross_encoder.presets import PRESETS
from darling_models.errors import ModelError
from darling_models.options import DEFAULT_OPTIONS, ModelOptions
from darling_models.protocol import EquivalenceClassifier

LEXICAL = ("exact", "ngram", "unigram")
CATALOGUE = {
    "embedded": "the default: encodes each rollout once, then a trained, calibrated pair head",
    "embedded:DIR": "the same with a head of your own, from `darling-reward train --out DIR`",
    "exact": "equal text, up to case, white space and Unicode compatibility form",
    "ngram": "Jaccard similarity of word 4-gram sets",
    "unigram": "Jaccard similarity of word sets",
    "cross-encoder:PATH_OR_ID": "any Hugging Face sequence-classification checkpoint",
    "noveltybench-deberta[:PATH_OR_ID]": "NoveltyBench's DeBERTa-v3-large as published",
    "darling-modernbert:PATH_OR_ID": "a ModernBERT fed and cut off as DARLING's for chat",
    "darling-qwen3:PATH_OR_ID": "a Qwen3 fed and cut off as DARLING's for mathematics",
    "remote:[MODEL@]URL,URL": "servers that answer POST /classify in vLLM's wire format",
    "judge:MODEL@BASE_URL": "an LLM asked through an OpenAI-compatible /chat/completions",
    "cascade:MODEL": "the embedded head for clear pairs, a pairwise MODEL for the rest",
    "embeddings[:PATH_OR_ID]": "cosine of sentence-transformers vectors, one per rollout",
    "answers": "equal final answers, by math-verify (needs the extra `math`)",
}


def load(name: str, options: ModelOptions = DEFAULT_OPTIONS) -> EquivalenceClassifier:
    """Loads a classifier. Raises `ModelError` if the name is unknown or its weights unusable."""
    kind, _, target = name.partition(":")
    if name in LEXICAL:
        from darling_models import lexical

        return lexical.BASELINES[name](options)
    if kind == "embedded":
        from darling_models.embedded.classifier import ARTEFACT, Embedded

        return Embedded(options, Path(target) if target else ARTEFACT)
    if kind == "cross-encoder" and target:
        from darling_models.cross_encoder.classifier import CrossEncoder

        return CrossEncoder(target, options)
    if kind in PRESETS:
        from darling_models.cross_encoder.classifier import CrossEncoder

        preset = PRESETS[kind]
        path = target or preset.checkpoint
        if path is None:
            raise ModelError(f"{kind} has no published weights; write {kind}:PATH_OR_ID")
        return CrossEncoder(path, options, preset, name)
    if kind == "remote" and target:
        from darling_models.remote.classifier import RemotePool

        return RemotePool(target, options)
    if kind == "judge" and target:
        from darling_models.llm_judge.classifier import load_judge

        return load_judge(target, options)
    if kind == "cascade" and target:
        from darling_models.cascade import Cascade

        first = load("embedded", ModelOptions(device=options.device))
        return Cascade(first, load(target, options), options)
    if kind == "embeddings":
        from darling_models.embeddings import Embeddings

        return Embeddings(target, options)
    if name == "answers":
        from darling_models.final_answers.classifier import Answers

        return Answers(options)
    raise ModelError(f"unknown model {name!r}; choose one of: {', '.join(CATALOGUE)}")
