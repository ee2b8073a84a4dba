"""A classifier of your own: two Python solutions are equivalent when they do the same steps.

    python examples/own_classifier.py examples/solutions.jsonl

The built-in classifier reads English prose. For code another rule may fit better, and here it needs
no model: names and docstrings are taken out of both programs, and their syntax trees are compared.
A pairwise classifier has an `info` and a `run`; `Pairwise` does the rest of the protocol, and
CONTRIBUTING.md says how to make `darling-reward serve --model same-steps` load this one.
"""

import ast
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from darling_models.pairs import PairResult, Pairwise
from darling_models.protocol import ModelInfo, Unit, all_pairs, classify


class SameSteps(Pairwise):
    """1 when two programs are equal up to names, docstrings and layout, else 0."""

    info = ModelInfo(
        id="same-steps",
        revision="1",  # change it with the rule: cached results carry it
        threshold=0.5,
        linkage="single",  # equality is transitive
        description="Python programs with the same syntax tree, up to names and docstrings",
    )

    def run(self, units: Sequence[Unit]) -> list[PairResult]:
        """One result a unit, in order. A unit holds two different texts."""
        return [
            PairResult(self._probability(*unit.inputs), unit.tokens, truncated=False)
            for unit in units
        ]

    def _probability(self, a: str, b: str) -> float:
        steps = steps_of(a)
        return float(steps is not None and steps == steps_of(b))


class _Anonymous(ast.NodeTransformer):
    """Numbers names by their first occurrence and drops docstrings."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        if ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        node.name = self._anonymous(node.name)
        self.generic_visit(node)
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.arg = self._anonymous(node.arg)
        return node

    def visit_Name(self, node: ast.Name) -> ast.Name:
        node.id = self._anonymous(node.id)
        return node

    def _anonymous(self, name: str) -> str:
        return self._names.setdefault(name, f"name{len(self._names)}")


def steps_of(program: str) -> str | None:
    """The program without its names; None where it is not Python."""
    try:
        return ast.dump(_Anonymous().visit(ast.parse(program)))
    except (SyntaxError, ValueError, RecursionError):
        return None


def main(path: str) -> None:
    classifier = SameSteps()
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        group = json.loads(line)
        pairs = all_pairs(len(group["rollouts"]))
        probabilities = classify(classifier, group["prompt"], group["rollouts"], pairs)
        print(group["prompt"])
        for (i, j), probability in zip(pairs.tolist(), probabilities.tolist(), strict=True):
            same = probability > classifier.info.threshold
            print(f"  [{i}] and [{j}]: {'equivalent' if same else 'different'}")


if __name__ == "__main__":
    main(*sys.argv[1:])
