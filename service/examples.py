"""The worked examples of the OpenAPI document; a test sends each one and compares the answer."""

from typing import Any

GROUP: dict[str, Any] = {
    "id": "capital-1",
    "prompt": "Name a city worth a visit, and say why in one sentence.",
    "rollouts": [
        {"text": "Lisbon: warm light, steep streets and the best custard tarts.", "quality": 0.9},
        {
            "text": "I would visit Lisbon, for its hills, its sunshine and its pastries.",
            "quality": 0.8,
        },
        {"text": "Kyoto, because its temples and gardens are like nothing else.", "quality": 0.7},
    ],
}
REWARD_REQUESTS: dict[str, Any] = {
    "one group": {"groups": [GROUP]},
    "with advantages, only good rollouts counted": {
        "groups": [GROUP],
        "reward": {"among": "quality", "min_quality": 0.75, "advantage": "centered"},
        "run": {"name": "exp-7", "step": 120},
    },
    "the published reward code, exactly": {
        "groups": [GROUP],
        "reward": {"parity": "darling"},
    },
}
PARTITION_REQUESTS: dict[str, Any] = {
    "with probabilities": {
        "groups": [{"prompt": "Name a colour.", "rollouts": ["Blue.", "blue", "Red."]}],
        "partition": {"linkage": "average"},
        "return_probabilities": True,
    }
}
EQUIVALENCE_REQUESTS: dict[str, Any] = {
    "two answers": {
        "pairs": [{"prompt": "Name a colour.", "a": "Blue is a colour.", "b": "I choose blue."}]
    }
}
REWARD_ANSWER: dict[str, Any] = {}
PARTITION_ANSWER: dict[str, Any] = {}
EQUIVALENCE_ANSWER: dict[str, Any] = {}
MODELS_ANSWER: dict[str, Any] = {}
