"""Calls of a replica through Ray Serve, whose answers are a fault or a value (`Reply`)."""

import asyncio
from copy import deepcopy
from typing import Any

from ray.exceptions import NodeDiedError, ObjectLostError, OutOfMemoryError, RayActorError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

Ended = (RayActorError, RayServeException, OutOfMemoryError, NodeDiedError, ObjectLostError)
"""What a call raises whose replica ended, or could not be reached, before its answer was here."""


async def ask(handle: DeploymentHandle, method: str, *question: Any) -> Any:
    """What the method of a replica answers. Raises its fault, or one of `Ended`.

    A caller that is cancelled has the call cancelled.
    """
    response = getattr(handle, method).remote(*question)
    try:
        fault, answer = await response
    except asyncio.CancelledError:
        response.cancel()
        raise
    if fault is not None:
        raise fault
    # Arrays as Ray gives them lie in its memory, which a part of them would hold on to as a whole.
    return deepcopy(answer)
