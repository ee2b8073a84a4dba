"""Checks of an installation or of a running service: `darling-reward doctor`.

Every check says what it saw, and where it fails what to do.
"""

import asyncio
import os
import platform
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from importlib.util import find_spec

import httpx

from darling_models.errors import ModelError
from darling_service import __version__
from darling_service.pipeline import Pipeline
from darling_service.schemas.requests import PartitionRequest
from darling_service.settings import Settings

TIMEOUT_S = 30.0
"""Seconds to wait for an answer of the service, long enough for a busy one."""
EXTRAS = {
    "math": "math_verify",
    "redis": "redis",
    "evaluate": "sacrebleu",
    "train": "peft",
}
"""Extras and a package that each brings."""
PROMPT, ROLLOUTS = "Name a city worth a visit.", ("Lisbon.", "Kyoto.")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    ok: bool
    text: str

    def __str__(self) -> str:
        return f"{'ok  ' if self.ok else 'FAIL'}  {self.text}"


def check_here(settings: Settings) -> Iterator[Finding]:
    """Checks this installation: versions, device, extras, and the model that the settings name."""
    import torch

    from darling_models.runtime.precision import reason

    yield Finding(True, f"darling-reward {__version__}, Python {platform.python_version()}")
    gpus = [torch.cuda.get_device_name(gpu) for gpu in range(torch.cuda.device_count())]
    yield Finding(
        True,
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, "
        + (f"GPUs: {', '.join(gpus)}" if gpus else "no GPU"),
    )
    if settings.device.startswith("cuda") and not gpus:
        yield Finding(
            False,
            f"device is {settings.device}, and this torch sees no GPU; set device to cpu, or "
            "install a torch with CUDA on a machine with a GPU",
        )
        return
    missing = [extra for extra, package in EXTRAS.items() if find_spec(package) is None]
    if missing:
        yield Finding(True, f"extras that are not installed: {', '.join(missing)}")
    yield Finding(True, reason(settings.runtime, settings.device))
    yield asyncio.run(_model(settings))


async def _model(settings: Settings) -> Finding:
    """Whether the model loads and tells two cities apart."""
    pipeline = Pipeline(settings)
    started = time.perf_counter()
    try:
        await pipeline.start()
    except ModelError as error:
        return Finding(False, f"model {settings.model}: {error}")
    try:
        loaded = time.perf_counter()
        request = PartitionRequest.model_validate(
            {"groups": [{"prompt": PROMPT, "rollouts": list(ROLLOUTS)}]}
        )
        answer = await pipeline.partitions(request)
    finally:
        await pipeline.stop()
    answered = time.perf_counter()
    return Finding(
        True,
        f"model {answer.model.id}@{answer.model.revision}: loaded in {loaded - started:.1f} s, "
        f"two rollouts in {1000 * (answered - loaded):.0f} ms, "
        f"{answer.groups[0].num_classes} classes, threshold {answer.model.threshold:g}, "
        f"linkage {answer.model.linkage}",
    )


async def check_service(
    url: str, key: str | None, group_size: int | None
) -> AsyncIterator[Finding]:
    """Checks the service at `url` as a trainer sees it: reachable, ready, the key, the limits, and
    the rewards of a small group."""
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    proxies = [name for name in os.environ if name.lower().endswith("_proxy") and os.environ[name]]
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=TIMEOUT_S) as http:
        try:
            live = await http.get("/health/live")
            ready = await http.get("/health/ready")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            hint = f"; requests go through a proxy, see {', '.join(proxies)}" if proxies else ""
            yield Finding(
                False,
                f"{url} does not answer ({type(error).__name__}: {error}); check host, port and "
                f"that the service runs{hint}",
            )
            return
        if live.status_code != 200:
            yield Finding(
                False,
                f"{url}/health/live answers {live.status_code}: this is no darling-reward service, "
                "or something stands in between",
            )
            return
        yield Finding(True, f"{url} is alive")
        if ready.status_code != 200:
            yield Finding(
                False,
                f"it is not ready ({ready.status_code}); wait until its models are loaded, and "
                "look into its log",
            )
        else:
            yield Finding(True, "it is ready")
        models = await http.get("/v1/models")
        if models.status_code == 401:
            what = "it needs an API key" if key is None else "it refuses this API key"
            yield Finding(False, f"{what}; set DARLING_API_KEY to the service's own")
            return
        if models.status_code != 200:
            yield Finding(False, f"/v1/models answers {models.status_code}: {models.text[:200]}")
            return
        listed = models.json()
        ids = [f"{model['id']}@{model['revision']}" for model in listed["models"]]
        yield Finding(True, f"it serves {', '.join(ids)}")
        limit = listed["limits"]["max_rollouts"]
        if group_size is not None and group_size > limit:
            yield Finding(
                False,
                f"groups of {group_size} are over its max_rollouts = {limit}; start it with "
                f"DARLING_MAX_ROLLOUTS={group_size}",
            )
            return
        yield await _rewards(http, group_size or len(ROLLOUTS))


async def _rewards(http: httpx.AsyncClient, size: int) -> Finding:
    rollouts = [f"{ROLLOUTS[k % 2]} Choice {k}." for k in range(size)]
    group = {"prompt": PROMPT, "rollouts": rollouts, "quality": [1.0] * size}
    started = time.perf_counter()
    answer = await http.post("/v1/rewards", json={"groups": [group]})
    milliseconds = 1000 * (time.perf_counter() - started)
    if answer.status_code != 200:
        return Finding(False, f"/v1/rewards answers {answer.status_code}: {answer.text[:300]}")
    classes = answer.json()["groups"][0]["num_classes"]
    return Finding(
        True, f"a group of {size} short rollouts: {classes} classes, in {milliseconds:.0f} ms"
    )
