"""What goes wrong with a model, as one tree. Every message says what is wrong and what to do.

ModelFault
+-- ModelError             a model cannot be loaded, or cannot do what it is asked for
+-- ModelUnavailable       no answer can be had now, whatever the texts
|   +-- ModelBusy          a model server asks for a pause
|   +-- ModelHung          a local model has not answered in time
+-- ServerRefused          a model server refuses whatever it is asked, until it is set right
+-- InputRejected          a model server refuses this input; others may be fine
"""


class ModelFault(Exception):
    """A model has not done what it was asked for."""

    def __init__(self, message: str, *, in_log: str | None = None) -> None:
        """`in_log` says the same without the words of a server, which may repeat a text that it was
        sent: texts are for whoever sent them, and not for the log."""
        super().__init__(message)
        self.in_log = message if in_log is None else in_log


class ModelError(ModelFault):
    """A model cannot be loaded, or cannot do what it is asked for."""


class ModelUnavailable(ModelFault):
    """No answer can be had now: a model server is unreachable or its answers are unreadable."""


class ModelBusy(ModelUnavailable):
    """A model server asks for a pause; nothing is wrong with it."""

    def __init__(self, message: str, retry_after_s: float, *, in_log: str | None = None) -> None:
        """`retry_after_s`: seconds that are left of the pause."""
        super().__init__(message, in_log=in_log)
        self.retry_after_s = retry_after_s


class ModelHung(ModelUnavailable):
    """A local model has not answered in time; it may never do."""


class ServerRefused(ModelFault):
    """A model server refuses whatever it is asked: it knows no such key, model or path."""


class InputRejected(ModelFault):
    """A model server refuses this input; others may be fine."""
