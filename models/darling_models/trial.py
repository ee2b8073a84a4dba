"""The first questions to a local model, which is refused when it is loaded if it cannot answer."""

from darling_models.errors import ModelError
from darling_models.protocol import ONE_PAIR, EquivalenceClassifier, Windowed, classify

SHORT = ("Blue is a colour.", "Red.")


def try_out(name: str, classifier: EquivalenceClassifier) -> None:
    """Asks a local model about short texts and about texts longer than its window.

    Raises `ModelError` naming the model if it fails, or answers with what is no probability. A
    model without a window is a server, or made of nothing that could be damaged.
    """
    if not isinstance(classifier, Windowed):
        return
    window = classifier.window
    questions = {
        "two short texts": SHORT,
        f"texts that fill its window of {window} tokens": ("a " * window, "a b " * window),
    }
    for what, texts in questions.items():
        try:
            classify(classifier, "", texts, ONE_PAIR)
        except ModelError as error:
            raise ModelError(f"the model {name!r} cannot compare {what}: {error}") from error
        except Exception as error:
            raise ModelError(
                f"the model {name!r} cannot compare {what} ({type(error).__name__}: {error}); if a "
                "smaller max_length does not help, its files do not fit together"
            ) from error
