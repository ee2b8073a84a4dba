"""Runs the same groups through this project's classifiers and through what people run today.

All contenders read the same MiniLM weights, one after the other in each round, so ratios are
paired:

    embedded          ours: every text once, then the trained head
    cross-encoder     ours: every pair, packed
    predict           (a) sentence-transformers CrossEncoder.predict over every pair
    infinity          (b) the published call pattern: one request per pair to a real infinity server
    one at a time     (c) NoveltyBench's loop: one call per pair, greedy, so not every pair is read;
                      shared words decide which pairs match, as a good head would
    encode + cluster  (d) sentence-transformers encode, scikit-learn agglomerative clustering

Every contender computes in its default precision: ours in bfloat16 where the machine has it, the
others in float32. Cross-encoders get a one-label head, which is fitted to tell a reworded passage
from another one. They, and `encode`, read at most 512 tokens, because MiniLM has no more
positions. Of two long texts that is a part, while `embedded` reads all of both. The figure
`tokens` says how much of a group each contender has read.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import CrossEncoder, SentenceTransformer
from sklearn.cluster import AgglomerativeClustering
from sklearn.linear_model import LogisticRegression
from transformers import AutoTokenizer, BertForSequenceClassification

from benchmarks.figures import Figure, Figures, ratio
from benchmarks.infinity import Infinity, infinity
from benchmarks.machine import Clock, matmul_peak, operations
from benchmarks.workloads import Workload
from darling_models.embedded.encoder import wheel_weights
from darling_models.protocol import EquivalenceClassifier, FloatArray, all_pairs, classify
from darling_models.registry import load
from darling_models.runtime.precision import dtype_of

Group = tuple[str, list[str]]
PAIR_TOKENS = 512
FIT_GROUPS = 6
"""Groups of each kind (different and collapsed) that the cross-encoders' head is fitted on."""
DECIDED_GROUPS = 20
"""Groups of each kind on which decisions are compared."""
PAIRWISE = ("cross-encoder", "predict", "infinity", "one at a time")


@contextmanager
def peers(clock: Clock = time.perf_counter) -> Iterator["Peers"]:
    torch.manual_seed(0)
    with TemporaryDirectory() as name:
        folder = Path(name)
        checkpoint_of_pairs(folder)
        with infinity(folder) as server:
            yield Peers(folder, server, clock)


def checkpoint_of_pairs(folder: Path) -> None:
    """Writes MiniLM with a fitted one-label head."""
    model = BertForSequenceClassification.from_pretrained(wheel_weights(), num_labels=1)
    tokenizer = AutoTokenizer.from_pretrained(wheel_weights())
    fit_head(model, tokenizer)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def fit_head(model: Any, tokenizer: Any) -> None:
    """Fits the head by logistic regression on the frozen encoder's pooled states of pairs."""
    states, same = [], []
    for collapsed in (False, True):
        for _ in range(FIT_GROUPS):
            pairs = pairs_of(Workload(8, 50, collapsed).group())
            given = tokenizer(*zip(*pairs, strict=True), padding=True, return_tensors="pt")
            with torch.inference_mode():
                states.append(model.bert(**given).pooler_output.numpy())
            same += [collapsed] * len(pairs)
    fitted = LogisticRegression(max_iter=1000).fit(np.concatenate(states), same)
    with torch.no_grad():
        model.classifier.weight.copy_(torch.from_numpy(fitted.coef_))
        model.classifier.bias.copy_(torch.from_numpy(fitted.intercept_))


class Peers:
    def __init__(self, checkpoint: Path, server: Infinity | None, clock: Clock) -> None:
        self.server = server
        self._clock = clock
        self._embedded = load("embedded")
        self._pairwise = load(f"cross-encoder:{checkpoint}")
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # so that all of its operations are in the thread that counts
        self._counted = load(f"cross-encoder:{checkpoint}")
        torch.set_num_threads(threads)
        self._predictor = CrossEncoder(str(checkpoint), max_length=PAIR_TOKENS)
        self._sentences = SentenceTransformer(str(wheel_weights()))
        # Its own setting, 256, would leave half of a long text unread.
        self._sentences.max_seq_length = PAIR_TOKENS

    def race(self, workload: Workload, groups: int, rounds: int, pairwise: bool) -> Figures:
        """Seconds per group, and ratios; `pairwise` adds the contenders that read pairs."""
        contenders = self._contenders(pairwise)
        samples: dict[str, list[float]] = {name: [] for name in contenders}
        peaks: list[float] = []
        chosen = [workload.group() for _ in range(groups)]
        for turn in range(rounds + 1):
            if turn and pairwise:
                peaks.append(matmul_peak(self._clock, dtype=dtype_of("auto", "cpu")))
            for name, contender in contenders.items():
                started = self._clock()
                for group in chosen:
                    contender(group)
                if turn:  # the first does not count
                    samples[name].append((self._clock() - started) / groups)
        figures = {f"{workload.name}: {n}": Figure.of(s, "s a group") for n, s in samples.items()}
        figures |= self._tokens(workload, chosen, pairwise)
        for ours in ("embedded", "cross-encoder"):
            for name in [n for n in samples if ours in samples and n not in (ours, "embedded")]:
                figures[f"{workload.name}: {name} / {ours}"] = ratio(samples[name], samples[ours])
        if pairwise:
            figures |= self._pairwise_figures(workload, chosen, samples["cross-encoder"], peaks)
        return figures

    def _contenders(self, pairwise: bool) -> dict[str, Callable[[Group], object]]:
        every: dict[str, Callable[[Group], object]] = {
            "embedded": lambda group: judged(self._embedded, group),
            "encode + cluster": lambda group: clustered(self._sentences, group[1]),
            "cross-encoder": lambda group: judged(self._pairwise, group),
            "predict": self.predicted,
            "one at a time": self.one_at_a_time,
        }
        if (server := self.server) is not None:
            every["infinity"] = lambda group: server.classify(pairs_of(group))
        return {name: run for name, run in every.items() if pairwise or name not in PAIRWISE}

    def _tokens(self, workload: Workload, groups: Sequence[Group], pairwise: bool) -> Figures:
        """Tokens of a group that each kind of contender reads."""
        read = {
            "embedded": [_read(self._embedded, group) for group in groups],
            "encode + cluster": [
                int(self._sentences.preprocess(group[1])["attention_mask"].sum())
                for group in groups
            ],
        }
        if pairwise:
            read["every pair"] = [_read(self._pairwise, group) for group in groups]
        return {f"{workload.name}: tokens, {n}": Figure.of(c, "a group") for n, c in read.items()}

    def _pairwise_figures(
        self,
        workload: Workload,
        groups: Sequence[Group],
        seconds: Sequence[float],
        peaks: Sequence[float],
    ) -> Figures:
        """The share of the machine's matrix peak that our cross-encoder reaches."""
        # Padding is none, so what is counted is what the pairs need.
        flop = operations(lambda: [judged(self._counted, group) for group in groups])
        rates = [flop / len(groups) / s / 1e9 for s in seconds]
        share = [rate / peak for rate, peak in zip(rates, peaks, strict=True)]
        label = f"{workload.name}: cross-encoder, share of the matmul peak"
        return {label: Figure.of(share, "of 1", "higher")}

    def decisions(self) -> Figures:
        """How often our cross-encoder decides as `predict` does, on equal and different pairs."""
        ours, theirs = [], []
        for collapsed in (False, True):
            for _ in range(DECIDED_GROUPS):
                group = Workload(8, 50, collapsed).group()
                ours.append(judged(self._pairwise, group))
                theirs.append(self.predicted(group))
        a, b = np.concatenate(ours), np.concatenate(theirs)
        label = f"{len(a)} pairs, {np.mean(b > 0.5):.0%} alike: cross-encoder"
        return {
            f"{label}, decisions as predict": Figure.of(
                [float(np.mean((a > 0.5) == (b > 0.5)))], "of 1", "higher"
            ),
            f"{label}, largest difference": Figure.of([float(np.abs(a - b).max())], "P"),
        }

    def predicted(self, group: Group) -> FloatArray:
        found = self._predictor.predict(pairs_of(group), show_progress_bar=False)
        return np.asarray(found, dtype=np.float64)

    def one_at_a_time(self, group: Group) -> None:
        """Forms greedy first-exemplar classes with one call for each pair that is looked at."""
        same = self._decisions(group)
        exemplars: list[int] = []
        for own, text in enumerate(group[1]):
            for other in exemplars:
                self._predictor.predict([(group[1][other], text)], show_progress_bar=False)
                if same[other, own]:
                    break
            else:
                exemplars.append(own)

    def _decisions(self, group: Group) -> NDArray[np.bool_]:
        """Which texts count as equivalent, (n, n): by shared words, which costs next to nothing."""
        words = [set(text.split()) for text in group[1]]
        return np.asarray([[len(a & b) > 0.8 * len(a | b) for b in words] for a in words])


def judged(classifier: EquivalenceClassifier, group: Group) -> FloatArray:
    prompt, texts = group
    return classify(classifier, prompt, texts, all_pairs(len(texts)))


def _read(classifier: EquivalenceClassifier, group: Group) -> int:
    """Number of tokens that go through the model for a group."""
    plan = classifier.plan(*group, all_pairs(len(group[1])))
    return sum(result.tokens for result in classifier.run(plan.units))


def pairs_of(group: Group) -> list[tuple[str, str]]:
    """All pairs of a group, each in the order in which our classifier reads it."""
    texts = sorted(group[1])
    place = {text: i for i, text in enumerate(texts)}
    listed = [sorted((place[group[1][i]], place[group[1][j]])) for i, j in all_pairs(len(texts))]
    return [(texts[i], texts[j]) for i, j in listed]


def clustered(model: SentenceTransformer, texts: Sequence[str]) -> object:
    vectors = model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
    return AgglomerativeClustering(
        n_clusters=None, metric="cosine", linkage="average", distance_threshold=0.3
    ).fit_predict(vectors)
