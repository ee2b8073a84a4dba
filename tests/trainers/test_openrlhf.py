"""OpenRLHF's own HTTP client against /get_reward, and the agent file with its own executor."""

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Service
from tests.trainers.conftest import DRIVERS, EXAMPLES, need, run, whole_group

Rollout = tuple[str, str | None, str]
THINGS = ["the sea is blue", "cold deep water", "waves and wind", "ships sail far"]


def group(prompt: str, n: int, classes: int) -> list[Rollout]:
    return [(f"say: {prompt}", "blue", THINGS[member % classes]) for member in range(n)]


def said(folder: Path, url: str, kind: str, target: str, groups: list[list[Rollout]]) -> Any:
    driver = [str(DRIVERS / "openrlhf_rollouts.py"), kind, target]
    return run([*need("trl", "openrlhf"), *driver], url=url, folder=folder, given=groups)


def test_the_agent_file_with_the_packages_executor(words: Service, tmp_path: Path) -> None:
    sizes = [(8, 1), (8, 3), (4, 2), (1, 1), (6, 4)]
    groups = [group(f"prompt {g}", n, classes) for g, (n, classes) in enumerate(sizes)]
    agent = str(EXAMPLES / "openrlhf_agent.py")
    told = said(tmp_path, words.url, "agent", agent, groups)
    for sent, got in zip(groups, told["told"], strict=True):
        texts = [text for _, _, text in sent]
        quality = [1.0 if "blue" in text else 0.25 for text in texts]
        whole = whole_group(words, sent[0][0], texts, quality)
        assert [one["reward"] for one in got] == whole["rewards"]
        assert [one["scores"] for one in got] == quality
        assert [one["extra_logs"]["diversity"] for one in got] == whole["diversity"]
        assert {one["extra_logs"]["num_classes"] for one in got} == {whole["num_classes"]}
    flat = [one["reward"] for got in told["told"] for one in got]
    assert told["rewards"] == pytest.approx(flat)


def test_the_packages_http_client_unmodified(words: Service, tmp_path: Path) -> None:
    with words.client() as http:
        if http.post("/get_reward", json={"query": [], "prompts": [], "labels": []}).is_error:
            pytest.skip("this service has no /get_reward yet")
    groups = [group(f"wire {g}", 8, classes) for g, classes in enumerate((1, 2, 3, 4))]
    target = f"{words.url}/get_reward?n=8&run=openrlhf"
    told = said(tmp_path, words.url, "http", target, groups)
    for sent, got in zip(groups, told["told"], strict=True):
        texts = [text for _, _, text in sent]
        whole = whole_group(words, sent[0][0], texts, [1.0] * 8)
        assert [one["reward"] for one in got] == whole["rewards"]


def test_no_service_ends_the_run_with_the_reason(tmp_path: Path) -> None:
    agent = tmp_path / "agent.py"
    agent.write_text(
        """
from darling_client import AsyncClient
from darling_client.trainers.openrlhf import agent_executor

client = AsyncClient("http://127.0.0.1:9", patience_s=1)
AgentExecutor = agent_executor(lambda prompt, response, label: 1.0, client=client)
"""
    )
    with pytest.raises(AssertionError, match=r"Unreachable: gave up after \d+ tries"):
        said(tmp_path, "http://127.0.0.1:9", "agent", str(agent), [group("p", 4, 2)])
