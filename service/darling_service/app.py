"""The ASGI app: routes, exception handlers, middleware, and the life of the models."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from darling_models.errors import ModelError
from darling_models.runtime.memory import is_out_of_memory
from darling_service import __version__
from darling_service.http.auth import CONSOLE, DOCS, DOCS_ASSETS
from darling_service.http.body_time import BodyTime
from darling_service.http.console import ConsoleFiles
from darling_service.http.history import router as history
from darling_service.http.middleware import AnswerHead, RequestSigns, RequireKey
from darling_service.http.openapi import describe
from darling_service.http.problems import handle_problems
from darling_service.http.review import router as review
from darling_service.http.routes import router
from darling_service.http.state import Service
from darling_service.http.stopping import AnswerWhileStopping
from darling_service.http.turns import InTurn
from darling_service.trainers import router as trainers

log = logging.getLogger(__name__)

DESCRIPTION = (
    "Rewards for RL post-training of language models: send a prompt with its group of rollouts, "
    "and get rewards that grow with quality and with semantic diversity."
)


def create_app(
    service: Service,
    on_failed_start: Callable[[ModelError], None] | None = None,
    *,
    started: bool = False,
) -> FastAPI:
    """The app around a service that has not been started yet.

    Models load in the background; `/health/ready` tells when they answer. If they cannot be loaded,
    `on_failed_start` gets the error; without it the error is logged. `started`: the caller has
    started the service, and stops it.
    """

    async def start() -> None:
        try:
            await service.start()
        except Exception as error:
            fault = error if isinstance(error, ModelError) else _unforeseen(error)
            if on_failed_start is None:
                log.error("%s", fault)
            else:
                on_failed_start(fault)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        starting = asyncio.create_task(start())
        yield
        starting.cancel()
        await service.stop(service.settings.shutdown_grace_s)

    app = FastAPIOffline(
        docs_url=DOCS,
        redoc_url=None,
        static_url=DOCS_ASSETS,
        title="Darling Reward",
        version=__version__,
        description=DESCRIPTION,
        lifespan=None if started else lifespan,
    )
    app.state.service = service
    app.include_router(router)
    app.include_router(history)
    app.include_router(review)
    app.include_router(trainers)
    app.mount(CONSOLE, ConsoleFiles(), name="console")
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]
    handle_problems(app)
    app.add_middleware(InTurn)
    app.add_middleware(BodyTime)
    app.add_middleware(RequireKey, keys=service.keys)
    app.add_middleware(AnswerWhileStopping, requests=service.requests)
    app.add_middleware(RequestSigns, telemetry=service.telemetry)
    app.add_middleware(AnswerHead)
    return app


def _unforeseen(error: Exception) -> ModelError:
    """The error of a start that failed by what no loader has foreseen."""
    if is_out_of_memory(error):
        reason = " ".join(str(error).split()) or type(error).__name__
        return ModelError(f"not enough memory to load the models: {reason}")
    log.error("the models cannot be loaded", exc_info=error)
    return ModelError(f"the models cannot be loaded ({type(error).__name__}: {error})")
