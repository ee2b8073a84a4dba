"""What goes wrong with a model. Every message says what is wrong and what to do.

ModelError              a model cannot be loaded, or cannot do what it is asked for
ModelUnavailable        no answer can be had now, whatever the texts
+-- ModelBusy           a model server asks for a pause
ServerRefused           a model server refuses whatever it is asked, until its settings are mended
InputRejected           a model server refuses this input; others may be fine
"""


class ModelError(Exception):
    """A model cannot be loaded, or cannot do what it is asked for."""


class ModelUnavailable(Exception):
    """No answer can be had now: a model server is unreachable or its answers are unreadable."""


class ModelBusy(ModelUnavailable):
    """A model server asks for a pause; it is well."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ServerRefused(Exception):
    """A model server refuses whatever it is asked: it knows no such key, model or path."""


class InputRejected(Exception):
    """A model server refuses this input; others may be fine."""
