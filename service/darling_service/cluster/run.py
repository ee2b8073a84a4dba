"""`darling-reward serve --engine ray`: deploys the application, waits for a stop, removes it."""

import logging
import os
import re
import signal
import time
from threading import Event

import httpx
import ray
from ray import serve
from ray.serve import Application
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from darling_models.errors import ModelError
from darling_service.cluster.application import NAME, application
from darling_service.cluster.same_bits import forget
from darling_service.key_sources import refuse_strangers_without_key
from darling_service.listening import listen
from darling_service.logs import configure
from darling_service.settings import Settings

log = logging.getLogger(__name__)

ANSWER_S = 10.0
"""Seconds that a call of the shared process may take beside the time that requests have left."""
REACHED_S = 30.0
"""Seconds in which a proxy of Ray Serve must answer once the application runs."""
KEEP_ALIVE_S = 120
"""Seconds that an idle connection stays open, as without Ray."""
LOOK_S = 0.2
"""Seconds between two looks at whether a signal has come."""


def run(settings: Settings) -> None:
    """Serves until a stop signal; SIGHUP has the file of the API keys read anew.

    Raises `ValueError` if other machines could use the service without a key, unasked, `OSError` if
    there is no cluster or its address cannot be listened on, `ModelError` if the application cannot
    run, and `KeyboardInterrupt` if a stop signal comes before it does. None of these leaves it on
    the cluster.
    """
    refuse_strangers_without_key(settings.host, settings.keys(), settings.allow_no_key)
    configure(settings.log_level, settings.log_format, settings.log_texts)
    app = application(settings)
    _connect(settings)
    try:
        _require_room(settings)
        port = _start_proxies(settings)
        signals = Signals()
        try:
            _deploy(app)
            _require_reachable(settings.host, port)
            signals.interrupt = False
        except BaseException:
            signals.interrupt = False
            _clear_away()
            raise
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        log.info("listening on http://%s:%d, docs at /docs", host, port)
        shared = serve.get_deployment_handle("shared", NAME)
        _wait(signals, shared)
        _stop(settings, shared)
    finally:
        ray.shutdown()


class Signals:
    """The signals that have come. A second one to stop ends the process at once."""

    def __init__(self) -> None:
        """Takes over from Ray, whose own would leave the application on its cluster."""
        self.stop, self.reload = Event(), Event()
        self.interrupt = True
        """Whether the first signal to stop raises `KeyboardInterrupt`, too: Ray Serve waits without
        end for room for the replicas."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, lambda *_: self.reload.set())

    def _stop(self, number: int, _: object) -> None:
        if self.stop.is_set():
            os._exit(128 + number)
        self.stop.set()
        if self.interrupt:
            raise KeyboardInterrupt


def _connect(settings: Settings) -> None:
    """Joins the cluster, or starts one on this machine. Raises `OSError`, and `ValueError` where
    the application runs there already."""
    if settings.ray_address is None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_worker_niceness", "0")  # 15 would yield to all other programs
    ray.init(
        address=settings.ray_address or "local",
        logging_level=logging.WARNING,
        include_dashboard=False if settings.ray_address is None else None,
    )
    if NAME in serve.status().applications:
        ray.shutdown()
        raise ValueError(
            f"the application {NAME!r} runs on this Ray cluster already; stop the command that "
            f"serves it, or remove it with: serve delete {NAME}"
        )


def _require_room(settings: Settings) -> None:
    """Raises `ValueError` if a cluster of this machine can never hold the replicas; one of others
    may grow."""
    needs = {
        "CPU": settings.workers * settings.worker_cpus
        + (settings.ingress_replicas + 1) * settings.ingress_cpus,
        "GPU": settings.workers * settings.worker_gpus,
    }
    has = ray.cluster_resources()
    short = [
        f"{need:g} {kind}s, and there are {has.get(kind, 0):g}"
        for kind, need in needs.items()
        if need > has.get(kind, 0)
    ]
    if not short:
        return
    message = (
        f"the replicas reserve {' and '.join(short)}; lower workers, worker_cpus, worker_gpus, "
        "ingress_replicas or ingress_cpus"
    )
    if settings.ray_address is None:
        raise ValueError(message)
    log.warning("%s, or let the cluster grow", message)


def _start_proxies(settings: Settings) -> int:
    """The port that Ray Serve listens on. Raises `OSError` if it is taken."""
    port = settings.port
    if not serve.status().proxies:
        sockets = listen(settings.host, port, backlog=1)
        port = sockets[0].getsockname()[1]
        for bound in sockets:
            bound.close()
    serve.start(
        proxy_location="EveryNode",
        http_options={
            "host": settings.host,
            "port": port,
            "keep_alive_timeout_s": KEEP_ALIVE_S,
        },
    )
    return port


def _deploy(app: Application) -> None:
    """Returns once every replica runs. Raises `ModelError` if they cannot."""
    try:
        serve.run(app, name=NAME, route_prefix="/")
    except RayServeException as refusal:
        raise ModelError(
            f"Ray Serve refuses the application: {_reason(str(refusal))} Remove the other "
            "application with `serve delete`, or give it another route prefix"
        ) from None
    except RuntimeError as failure:
        raise ModelError(_reason(str(failure))) from None


def _clear_away() -> None:
    """Removes an application whose start was given up; that it cannot be does not hide why."""
    try:
        _remove()
    except Exception as fault:
        log.warning(
            "the application may still be on the cluster (%s); remove it with: serve delete %s",
            *(type(fault).__name__, NAME),
        )


def _remove() -> None:
    serve.delete(NAME)
    forget()


def _require_reachable(host: str, port: int) -> None:
    """Raises `OSError` if the service does not answer there, as where Ray Serve, which ran already,
    listens elsewhere. On a machine that has no proxy, says where one is."""
    proxies = serve.status().proxies
    if ray.get_runtime_context().get_node_id() not in proxies:
        addresses = [
            node["NodeManagerAddress"] for node in ray.nodes() if node["NodeID"] in proxies
        ]
        log.warning(
            "this machine runs no replica, so nothing listens here; send requests to port %d of %s",
            *(port, " or ".join(addresses) or "a node that runs one"),
        )
        return
    reached = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)
    until = time.monotonic() + REACHED_S
    while time.monotonic() < until:
        try:
            if httpx.get(f"http://{reached}:{port}/health/live", trust_env=False).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(LOOK_S)
    raise OSError(
        f"the application runs, and does not answer at {host}:{port}: Ray Serve of this cluster "
        "may have been started with another address; give that as --host and --port"
    )


def _wait(signals: Signals, shared: DeploymentHandle) -> None:
    """Waits for a signal to stop."""
    while not signals.stop.wait(LOOK_S):
        if signals.reload.is_set():
            signals.reload.clear()
            _tell(shared, "reload_keys", ANSWER_S)
    log.info("stopping; requests in flight are answered first")


def _stop(settings: Settings, shared: DeploymentHandle) -> None:
    _tell(shared, "end", settings.shutdown_grace_s + ANSWER_S)
    _remove()


def _tell(shared: DeploymentHandle, method: str, seconds: float) -> None:
    try:
        getattr(shared, method).remote().result(timeout_s=seconds)
    except Exception as fault:  # the shared process has ended, or hangs: the signal is obeyed
        log.warning("the shared process was not told to %s: %s", method, type(fault).__name__)


def _reason(failure: str) -> str:
    """Why the application does not run, without the tracebacks of Ray Serve's processes."""
    application = serve.status().applications.get(NAME)
    deployments = application.deployments.values() if application else ()
    for text in (failure, *(deployment.message for deployment in deployments)):
        if found := re.findall(r"\w+(?:Error|Exception): (.+)", text):
            return str(found[-1])
    return failure
