"""The same groups through this project's classifiers and through what people run today.

    python -m benchmarks.peers [groups.jsonl.gz] [--rollouts 8] [--groups 4] [--rounds 5]

All peers read the same MiniLM weights, in one process each after the other, in paired rounds:

    embedded          ours: every text once, then the trained head
    cross-encoder     ours: every pair, in tiles
    predict           sentence-transformers CrossEncoder.predict over every pair
    one at a time     NoveltyBench's loop: one pair a call, greedy, so not every pair; which ones
                      is decided by our classes, since the head below is random
    encode + cluster  sentence-transformers encode, scikit-learn agglomerative clustering

Cross-encoders get a random one-label head and 512 tokens a pair: their cost does not depend on the
head. Without a file, groups are made of neutral sentences, `--words` a text.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import CrossEncoder, SentenceTransformer
from sklearn.cluster import AgglomerativeClustering
from transformers import AutoTokenizer, BertForSequenceClassification

from models.encoder import wheel_weights
from models.evaluation.lengthen import neutral_sentences
from models.protocol import EquivalenceClassifier, all_pairs, judge
from models.registry import load
from models.training.data import read_groups

Group = tuple[str, list[str]]
PAIR_TOKENS = 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, nargs="?")
    parser.add_argument("--rollouts", type=int, default=8)
    parser.add_argument("--words", type=int, default=200)
    parser.add_argument("--groups", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    groups = workload(given.file, given.groups, given.rollouts, given.words)
    with tempfile.TemporaryDirectory() as folder:
        contenders = built(Path(folder), groups)
        seconds = raced(contenders, groups, given.rounds)
    words = [len(text.split()) for _, texts in groups for text in texts]
    pairs = sum(len(all_pairs(len(texts))) for _, texts in groups)
    print(
        f"{len(groups)} groups, {len(words)} texts of {median(words):g} words (median; at most "
        f"{max(words)}), {pairs} pairs, {torch.get_num_threads()} threads, {given.rounds} rounds"
    )
    print(f"{'':18s} {'median s':>9s}   times ours: min / median / max")
    for name, own in seconds.items():
        ratios = np.asarray(own) / np.asarray(seconds["embedded"])
        print(
            f"{name:18s} {median(own):9.2f}   "
            f"{ratios.min():.1f} / {median(ratios):.1f} / {ratios.max():.1f}"
        )
    if given.json is not None:
        given.json.write_text(json.dumps(seconds, indent=2) + "\n")


def workload(file: Path | None, groups: int, rollouts: int, words: int) -> list[Group]:
    """Stored groups, evenly spread over the file, or made ones."""
    if file is None:
        return [
            (
                f"Tell me about a village by a river ({g}).",
                [" ".join(neutral_sentences(words, g * rollouts + k)) for k in range(rollouts)],
            )
            for g in range(groups)
        ]
    stored = list(
        {g.prompt: g for g in read_groups(file) if len(set(g.texts)) >= rollouts}.values()
    )
    chosen = np.linspace(0, len(stored) - 1, groups).astype(int).tolist()
    return [(stored[k].prompt, list(dict.fromkeys(stored[k].texts))[:rollouts]) for k in chosen]


def built(folder: Path, groups: Sequence[Group]) -> dict[str, Callable[[Group], object]]:
    torch.manual_seed(0)
    model = BertForSequenceClassification.from_pretrained(wheel_weights(), num_labels=1)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(wheel_weights()).save_pretrained(folder)
    embedded, pairwise = load("embedded"), load(f"cross-encoder:{folder}")
    predictor = CrossEncoder(str(folder), max_length=PAIR_TOKENS)
    same = {group[0]: decisions(embedded, group) for group in groups}
    sentences = SentenceTransformer(str(wheel_weights()))
    return {
        "embedded": lambda group: judged(embedded, group),
        "cross-encoder": lambda group: judged(pairwise, group),
        "predict": lambda group: predictor.predict(
            [(group[1][i], group[1][j]) for i, j in all_pairs(len(group[1])).tolist()],
            show_progress_bar=False,
        ),
        "one at a time": lambda group: one_at_a_time(predictor, group[1], same[group[0]]),
        "encode + cluster": lambda group: clustered(sentences, group[1]),
    }


def judged(classifier: EquivalenceClassifier, group: Group) -> object:
    prompt, texts = group
    return judge(classifier, prompt, texts, all_pairs(len(texts)))


def decisions(classifier: EquivalenceClassifier, group: Group) -> NDArray[np.bool_]:
    """Whether each two of the group are equivalent, shape (n, n)."""
    pairs = all_pairs(len(group[1]))
    same = np.eye(len(group[1]), dtype=np.bool_)
    rows, columns = pairs.T
    same[rows, columns] = judge(classifier, *group, pairs) > classifier.info.threshold
    return same | same.T


def one_at_a_time(model: CrossEncoder, texts: Sequence[str], same: NDArray[np.bool_]) -> None:
    """Greedy first-exemplar classes, a call for each pair that is looked at."""
    exemplars: list[int] = []
    for own, text in enumerate(texts):
        for other in exemplars:
            model.predict([(texts[other], text)], show_progress_bar=False)
            if same[other, own]:
                break
        else:
            exemplars.append(own)


def clustered(model: SentenceTransformer, texts: Sequence[str]) -> object:
    vectors = model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
    return AgglomerativeClustering(
        n_clusters=None, metric="cosine", linkage="average", distance_threshold=0.3
    ).fit_predict(vectors)


def raced(
    contenders: dict[str, Callable[[Group], object]], groups: Sequence[Group], rounds: int
) -> dict[str, list[float]]:
    """Wall seconds of each contender in each round, after a first one that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds + 1):
        for name, contender in contenders.items():
            started = time.perf_counter()
            for group in groups:
                contender(group)
            if turn:
                seconds[name].append(time.perf_counter() - started)
    return seconds


if __name__ == "__main__":
    main()
