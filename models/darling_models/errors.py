"""What goes wrong with a model. Every message says what is wrong and what to do.

ModelError          a model cannot be loaded, or cannot do what it is asked for
ModelUnavailable    no answer can be had now, whatever the texts
InputRejected       a server refuses this input; others may be fine
"""


class ModelError(Exception):
    """A model cannot be loaded, or cannot do what it is asked for."""


class ModelUnavailable(Exception):
    """No answer can be had now: a model server is unreachable or its answers are unreadable."""


class InputRejected(Exception):
    """A model server refuses this input; others may be fine."""
