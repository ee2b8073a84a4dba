"""The models of this process, each behind its batching engine: loading, readiness, stopping."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from darling_models.errors import InputRejected, ModelBusy, ModelError, ServerRefused
from darling_models.options import DEFAULT_OPTIONS, ModelOptions
from darling_models.protocol import ModelInfo
from darling_models.registry import LEXICAL, load, settings_read
from darling_service.engine.alone import Alone
from darling_service.engine.cache import ResultCache
from darling_service.engine.elsewhere import elsewhere
from darling_service.engine.engine import Engine
from darling_service.engine.pool import Pool
from darling_service.engine.shared_cache import SharedCache
from darling_service.engine.worker import Load
from darling_service.engine.workers import Workers
from darling_service.errors import FieldError, Invalid, Unavailable
from darling_service.settings import Settings
from darling_service.telemetry import Telemetry

log = logging.getLogger(__name__)

RETRY_AFTER_LOADING_S = 2.0
"""Seconds that a caller is told to wait while the models load, which takes a few seconds."""


class Engines:
    """An engine for the default model and for each lexical baseline, by name."""

    def __init__(self, settings: Settings, telemetry: Telemetry, pool: Pool | None = None) -> None:
        """`pool`: the copies of the default model; None: as the settings say."""
        self._settings = settings
        self._telemetry = telemetry
        self._pool = pool
        self._cache = ResultCache(settings.cache_bytes)
        self._shared: SharedCache | None = None
        self._engines: dict[str, Engine] = {}
        self._warm = False
        telemetry.observe_cache(lambda: self._cache.nbytes)

    async def start(self) -> None:
        """Loads every model and asks the default one a first question. Raises `ModelError`."""
        try:
            await self._start()
        except BaseException:
            await self.stop()  # model processes would stay, and keep this one from ending
            raise

    async def _start(self) -> None:
        default = self._settings.model
        if self._settings.cache_url is not None:
            self._shared = SharedCache(self._settings.cache_url)
        for name in dict.fromkeys([default, *LEXICAL]):
            options = options_of(self._settings) if name == default else DEFAULT_OPTIONS
            loading = partial(load, name, options)
            workers = self._workers(loading) if name == default else None
            classifier = (
                await asyncio.to_thread(loading)
                if workers is None
                else elsewhere(await workers.start(), workers)
            )
            engine = Engine(
                classifier,
                self._cache,
                self._telemetry,
                self._settings.max_batch_tokens,
                self._settings.max_queue_tokens,
                self._shared,
                self._settings.model_timeout_s,
                workers,
            )
            await engine.start()
            self._engines[name] = engine
        model = self._engines[default].model
        fault = await model.probe()
        if fault is not None and not isinstance(fault, ModelBusy):
            raise ModelError(
                f"the model {default!r} does not answer a first question: {fault}{_cure(fault)}"
            )
        try:
            await model.warm_up(self._settings.max_batch_tokens)
        except Exception as error:
            raise ModelError(
                f"the model {default!r} fails on a full batch ({type(error).__name__}: {error}); "
                "lower max_batch_tokens, or raise model_timeout_s if it is slow"
            ) from error
        self._warm = True
        info = model.classifier.info
        self._telemetry.models_without_packs.set(info.texts_run_alone)
        log.info("ready: %s, revision %s, threshold %.3f", info.id, info.revision, info.threshold)

    def _workers(self, loading: Load) -> Pool | None:
        """The processes that compute the default model; None for this one."""
        settings = self._settings
        if self._pool is not None or settings.workers == 1 or settings.engine == "ray":
            return self._pool
        log_form = settings.log_level, settings.log_format
        return Workers(
            loading, settings.workers, settings.model_timeout_s, self._telemetry, log_form
        )

    async def ready(self) -> bool:
        """Whether the default model answers."""
        return self._warm and await self._engines[self._settings.model].model.ready()

    async def stop(self) -> None:
        """Ends the engines; work still waiting fails with `Unavailable`."""
        self._warm = False
        for engine in self._engines.values():
            await engine.stop()
        if self._shared is not None:
            await self._shared.close()
            self._shared = None

    def get(self, name: str | None) -> Engine:
        """The engine of a model by name, or of the default. Raises `Invalid`, `Unavailable`."""
        self._require_warm()
        engine = self._engines.get(self._settings.model if name is None else name)
        if engine is None:
            message = f"there is no model {name!r}; choose one of {', '.join(self._engines)}"
            raise Invalid([FieldError(("model",), message)])
        return engine

    async def alone(self, busy: Callable[[], bool]) -> "Engines":
        """These models by themselves: without a cache or a shared queue, one text or pair a batch,
        working only while not `busy`. Nothing of it enters the metrics."""
        settings = self._settings.unbounded().model_copy(update={"cache_bytes": 0})
        others = Engines(settings, Telemetry())
        for name, engine in self._engines.items():
            others._engines[name] = Engine(
                Alone(engine, busy),
                others._cache,
                others._telemetry,
                max_batch_tokens=1,
                max_queue_tokens=settings.max_queue_tokens,
            )
            await others._engines[name].start()
        others._warm = True
        return others

    def infos(self) -> list[ModelInfo]:
        """The models a request may name, the default first. Raises `Unavailable`."""
        self._require_warm()
        return [engine.classifier.info for engine in self._engines.values()]

    def _require_warm(self) -> None:
        if not self._warm:
            raise Unavailable("the model is not ready", retry_after_s=RETRY_AFTER_LOADING_S)


def options_of(settings: Settings) -> ModelOptions:
    """The default model's options, without a `max_length` that only the reward model reads."""
    options = settings.model_options()
    if settings.quality.startswith("reward-model:"):
        own = options.max_length if "max_length" in settings_read(settings.model) else None
        return replace(options, max_length=own)
    return options


def _cure(fault: Exception) -> str:
    """What to do where a server has refused the first question; empty for any other fault."""
    if isinstance(fault, ServerRefused):
        return "; check its URL, the name of the model and the key"
    if isinstance(fault, InputRejected):
        return "; if it names a parameter, judge_parameters changes it or leaves it out"
    return ""
