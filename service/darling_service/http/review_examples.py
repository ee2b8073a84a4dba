"""Examples of the review's requests and responses, for the API documentation."""

from typing import Any

PROGRESS = {
    "notion": "answer",
    "criterion": None,
    "same": 12,
    "different": 30,
    "unsure": 1,
    "prompts_same": 8,
    "prompts_different": 14,
    "prompts_needed": 10,
}
PAIRS_RESPONSE: dict[str, Any] = {
    "run": "exp-7",
    "pairs": [
        {
            "id": "0c5d6c2b8f0d4d0f9a0e1f5a7f3b2c11-0-3",
            "step": 120,
            "prompt": "What is the capital of France?",
            "a": "Paris.",
            "b": "It is Paris, on the Seine.",
            "compared": "answer",
            "notion": "answer",
            "criterion": None,
            "model": "embedded",
            "probability": 0.57,
            "threshold": 0.55,
            "other": {
                "model": "unigram",
                "probability": 0.2,
                "threshold": 0.5,
                "disagrees": True,
            },
        }
    ],
    "progress": PROGRESS,
}
MARK_REQUEST = {"pair": "0c5d6c2b8f0d4d0f9a0e1f5a7f3b2c11-0-3", "same": True}
MARK_RESPONSE = {"progress": PROGRESS}
