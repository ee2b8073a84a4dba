"""The Ray Serve application: which deployments there are, and what each may take."""

from typing import Any
from uuid import uuid4

from ray import serve
from ray.serve import Application

from darling_models.errors import ModelError
from darling_models.registry import is_copied
from darling_service.cluster.classifier import Classifier
from darling_service.cluster.ingress import Ingress
from darling_service.cluster.shared import Shared
from darling_service.settings import Settings

NAME = "darling-reward"
"""Name of the application on its cluster."""
MAX_WAITING = 100_000
"""Requests that one replica may be answering: rollouts wait for the others of their cohort, and
what is too much the service refuses itself."""
MAX_ASKED = 64
"""Batches and comparisons that one classifier replica may have to do; more wait where they came
from. Each ingress replica sends one batch at a time for each classifier replica."""
HEALTH_S = 1.0
"""Seconds between two looks of Ray Serve at whether a replica answers."""
SLOW_S = 30.0
"""Seconds without an answer after which Ray Serve replaces a replica: on a busy machine an event
loop may be held up for seconds."""


def application(settings: Settings) -> Application:
    """The application of these settings. Raises `ModelError` if they cannot be used here."""
    common: dict[str, Any] = {
        "health_check_period_s": HEALTH_S,
        "health_check_timeout_s": SLOW_S,
        "graceful_shutdown_wait_loop_s": 0.1,
        "graceful_shutdown_timeout_s": settings.shutdown_grace_s + 2,
        "max_constructor_retry_count": 1,
        "logging_config": {"log_level": "WARNING", "enable_access_log": False},
    }
    beside = {**common, "ray_actor_options": {"num_cpus": settings.ingress_cpus}}
    classifier = None
    if is_copied(settings.model):
        resources = {"num_cpus": settings.worker_cpus, "num_gpus": settings.worker_gpus}
        classifier = serve.deployment(
            Classifier,
            name="classifier",
            num_replicas=settings.workers,
            max_ongoing_requests=MAX_ASKED,
            ray_actor_options=resources,
            **common,
        ).bind(settings, uuid4().hex)
    elif settings.workers > 1:
        raise ModelError(
            f"the model {settings.model!r} has no local weights to compute with, so it cannot use "
            "workers; leave workers out, and raise ingress_replicas instead"
        )
    shared = serve.deployment(
        Shared, name="shared", num_replicas=1, max_ongoing_requests=MAX_WAITING, **beside
    ).bind(settings, classifier)
    return serve.deployment(
        Ingress,
        name="ingress",
        num_replicas=settings.ingress_replicas,
        max_ongoing_requests=MAX_WAITING,
        **beside,
    ).bind(settings, shared, classifier)


def build(args: dict[str, Any]) -> Application:
    """The application of a Serve config file, whose `args` are settings by name; what they leave
    out comes from the environment.

    Raises `ModelError`, and `ValueError` if a setting is wrong or callers would need no key,
    unasked: a config file's proxies listen where `args` do not say.
    """
    settings = Settings(**{"engine": "ray", **args})
    if not (settings.keys() or settings.allow_no_key):
        raise ValueError(
            "no API key is set: name DARLING_API_KEYS_FILE or DARLING_API_KEY_FILE in the "
            "environment of the cluster's nodes, or let everyone in with allow_no_key: true"
        )
    return application(settings)
