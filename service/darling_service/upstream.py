"""What a caller is told when a model or a server behind this service has not answered."""

from darling_models.errors import (
    InputRejected,
    ModelBusy,
    ModelHung,
    ModelUnavailable,
    ServerRefused,
)
from darling_service.errors import (
    FailedDependency,
    FieldError,
    Invalid,
    ModelFailed,
    Overloaded,
    Problem,
    Unavailable,
)

RETRY_AFTER_FAILURE_S = 5.0
"""Seconds that a caller is told to wait after a failure: as long as a remote host that failed rests
before it is asked again."""
PROBE_S = 3.0
"""Seconds in which a model that has failed must answer a question to count as ready again. Probes
of readiness usually wait for less, and come again."""
PASSING = (InputRejected, ModelBusy)
"""Faults that say nothing against the model: it answers other inputs, or the same one later."""


def problem_of(fault: Exception, what: str) -> Problem:
    """The problem for whoever has sent an input that got `fault` instead of a result.

    `what` names that which has not answered, such as "model". What will not be otherwise next time
    has a status that callers do not retry.
    """
    if isinstance(fault, InputRejected):
        message = (
            f"the {what} server refuses a text of this request with {fault}; shorten or change the "
            "text, or correct the service's setting that this names"
        )
        return Invalid([FieldError((), message)])
    if isinstance(fault, ServerRefused):
        return FailedDependency(
            f"the {what} server refuses this service with {fault}; correct the key, the name of "
            f"the model or the URL in the service's settings, and start it again"
        )
    if isinstance(fault, ModelBusy):
        return Overloaded(
            "server",
            f"the {what} server asks for a pause; send the request again later",
            retry_after_s=fault.retry_after_s,
        )
    later = "send the request again later (the service's log has the cause)"
    if isinstance(fault, ModelHung):
        return Unavailable(
            f"the {what} hangs: {fault}; {later}", retry_after_s=RETRY_AFTER_FAILURE_S
        )
    if isinstance(fault, ModelUnavailable):
        return Unavailable(
            f"the {what} server is unreachable, silent or returned an unreadable answer; {later}",
            retry_after_s=RETRY_AFTER_FAILURE_S,
        )
    return ModelFailed(
        f"the {what} failed on this request; {later}", retry_after_s=RETRY_AFTER_FAILURE_S
    )
