"""Worked examples of the OpenAPI document; a test sends each one and compares the answer.

Probabilities have two digits: the third may be another on another processor.
"""

from dataclasses import asdict
from typing import Any

from darling_service.schemas.responses import Usage

GROUP: dict[str, Any] = {
    "id": "capital-1",
    "prompt": "Name a city worth a visit, and say why in one sentence.",
    "rollouts": [
        {
            "text": "Lisbon, for its warm light, its steep streets and its custard tarts.",
            "quality": 0.9,
        },
        {
            "text": "I would visit Lisbon for its steep streets, sunshine and custard tarts.",
            "quality": 0.8,
        },
        {"text": "Kyoto, because its temples and gardens are like nothing else.", "quality": 0.7},
    ],
}
REWARD_REQUESTS: dict[str, Any] = {
    "one group": {"groups": [GROUP]},
    "advantages, with diversity counted among good rollouts only": {
        "groups": [GROUP],
        "reward": {"among": "quality", "min_quality": 0.75, "advantage": "centered"},
        "run": {"name": "exp-7", "step": 120},
    },
    "rollouts as chat messages, of which a tool call is one": {
        "groups": [
            {
                "prompt": [{"role": "user", "content": "What is 1 + 2?"}],
                "rollouts": [
                    "<think>One and two make three.</think>3",
                    {
                        "messages": [
                            {
                                "role": "assistant",
                                "content": None,
                                "tool_calls": [
                                    {"function": {"name": "add", "arguments": '{"a": 1}'}}
                                ],
                            },
                            {"role": "tool", "content": "3"},
                            {"role": "assistant", "content": "3"},
                        ]
                    },
                ],
                "quality": [1.0, 1.0],
            }
        ],
        "partition": {"text": "last"},
    },
    "the same rewards as the published code": {
        "groups": [GROUP],
        "reward": {"parity": "darling"},
    },
}
ROLLOUT_REQUESTS: dict[str, Any] = {
    "the only rollout of its group": {
        "run": "exp-7",
        "group_id": "capital-1",
        "member_id": 0,
        "group_size": 1,
        "prompt": GROUP["prompt"],
        **GROUP["rollouts"][0],
        "deadline_s": 60,
    }
}
PARTITION_REQUESTS: dict[str, Any] = {
    "a group with its probabilities": {
        "groups": [{"prompt": "Name a colour.", "rollouts": ["Blue.", "blue", "Red."]}],
        "partition": {"linkage": "average"},
        "return_probabilities": True,
    }
}
PREFERENCE_REQUESTS: dict[str, Any] = {
    "one group": {
        "groups": [
            {
                "id": "colour-7",
                "prompt": "Name a colour.",
                "rollouts": ["Blue.", "Green, like moss.", "BLUE.", "Seven."],
                "quality": [1.0, 1.0, 0.9, 0.0],
            }
        ],
        "model": "exact",
    }
}
EQUIVALENCE_REQUESTS: dict[str, Any] = {
    "one pair of texts": {
        "pairs": [
            {
                "prompt": "What is the capital of France?",
                "a": "The capital of France is Paris.",
                "b": "Paris is the capital city of France.",
            }
        ]
    }
}
MODEL: dict[str, Any] = {
    "id": "embedded",
    "revision": "70b616e5266a7074",
    "threshold": 0.55,
    "linkage": "average",
    "notion": "answer",
}
USED: dict[str, Any] = {**MODEL, "text": "answer"}
NO_REASONING = {"reasoning_dropped": 0, "reasoning_unfinished": 0}


def usage(pairs: int, tokens: int, seconds: float) -> dict[str, Any]:
    return asdict(Usage(pairs=pairs, classified=pairs, tokens=tokens, seconds=seconds))


REWARD_RESPONSE: dict[str, Any] = {
    "groups": [
        {
            "id": "capital-1",
            "partition": [0, 0, 1],
            "num_classes": 2,
            "diversity": [0.5, 0.5, 1.0],
            "quality": [0.9, 0.8, 0.7],
            "rewards": [0.45, 0.4, 0.7],
            "advantages": None,
            "probabilities": None,
            **NO_REASONING,
        }
    ],
    "model": USED,
    "usage": usage(pairs=3, tokens=61, seconds=0.06),
}
ROLLOUT_RESPONSE: dict[str, Any] = {
    "reward": 0.9,
    "diversity": 1.0,
    "quality": 0.9,
    "class": 0,
    "num_classes": 1,
    "advantage": None,
    "group_complete": True,
    "group_size": 1,
    **NO_REASONING,
    "model": USED,
}
PARTITION_RESPONSE: dict[str, Any] = {
    "groups": [
        {
            "id": None,
            "partition": [0, 0, 1],
            "num_classes": 2,
            "diversity": [0.5, 0.5, 1.0],
            "probabilities": [[1.0, 0.99, 0.02], [0.99, 1.0, 0.05], [0.02, 0.05, 1.0]],
            **NO_REASONING,
        }
    ],
    "model": USED,
    "usage": usage(pairs=3, tokens=9, seconds=0.031),
}
PREFERENCE_RESPONSE: dict[str, Any] = {
    "groups": [
        {
            "id": "colour-7",
            "partition": [0, 1, 0, 2],
            "num_classes": 3,
            "diversity": [0.6666666666666666, 1.0, 0.6666666666666666, 1.0],
            "chosen": 1,
            "rejected": 3,
            "probabilities": None,
            **NO_REASONING,
        }
    ],
    "model": {
        **USED,
        "id": "exact",
        "revision": "1",
        "threshold": 0.5,
        "linkage": "single",
        "notion": None,
    },
    "usage": usage(pairs=6, tokens=0, seconds=0.001),
}
EQUIVALENCE_RESPONSE: dict[str, Any] = {
    "results": [{"probability": 0.93, "equivalent": True}],
    "model": {**MODEL, "linkage": None, "text": "all"},
    "usage": usage(pairs=1, tokens=22, seconds=0.03),
}
MODELS_RESPONSE: dict[str, Any] = {
    "models": [
        {
            **MODEL,
            "description": "all-MiniLM-L6-v2 in float32, once per text, and a calibrated pair "
            "head; by approach, an untrained comparison of workings (balanced accuracy 0.71, "
            "among solutions with one answer 0.64)",
            "operating_points": {"balanced": 0.55, "precision": 0.65, "recall": 0.4},
            "published_threshold": 0.5,
            "notions": ["answer", "approach"],
            "kernels": "rows=16,pack=1024,whole=fffff,odd=ffppp",
            "kernels_reason": "nothing was 1.8 times as fast as the default",
            "instructable": False,
        }
    ],
    "limits": {
        "max_groups": 1024,
        "max_rollouts": 512,
        "max_pairs": 65536,
        "max_chars": 200000,
        "max_body_bytes": 67108864,
        "body_bytes": 268435456,
        "max_queue_tokens": 2000000,
        "cohort_bytes": 2147483648,
    },
}
CARD_RESPONSE: dict[str, Any] = {
    "model": "embedded",
    "card": "# Model card: the embedded equivalence classifier ...",
    "reliability": "data:image/png;base64,...",
}
RUNS_RESPONSE: dict[str, Any] = {
    "runs": [
        {
            "run": "exp-7",
            "first_step": 0,
            "last_step": 120,
            "steps": 121,
            "groups": 7744,
            "first_at": 1795816800.0,
            "last_at": 1795820400.0,
            "diversity": 0.62,
            "collapsed_share": 0.03,
        }
    ]
}
STEPS_RESPONSE: dict[str, Any] = {
    "run": "exp-7",
    "steps": [119, 120],
    "series": {
        "groups": [64, 64],
        "rollouts": [512, 512],
        "classes": [5.1, 5.3],
        "diversity": [0.61, 0.62],
        "collapsed_share": [0.05, 0.03],
        "quality": [0.44, 0.46],
        "reward": [0.29, 0.3],
        "quality_distinct": [0.41, 0.43],
        "quality_duplicated": [0.47, 0.48],
        "effective_classes": [4.4, 4.5],
        "dominant_share": [0.42, 0.41],
        "entropy": [1.36, 1.38],
        "partial_groups": [0, 0],
    },
}
PROMPTS_RESPONSE: dict[str, Any] = {
    "prompts": [
        {
            "prompt": "What is the capital of France?",
            "prompt_id": "0c5d6c2b8f0d4d0f",
            "steps": 3,
            "first_step": 0,
            "last_step": 120,
        }
    ]
}
RECORDED_GROUP: dict[str, Any] = {
    "id": "0c5d6c2b8f0d4d0f9a0e1f5a7f3b2c11",
    "run": "exp-7",
    "step": 120,
    "at": 1795820400.0,
    "prompt": "What is the capital of France?",
    "model": "embedded",
    "text": "answer",
    "notion": "answer",
    "criterion": None,
    "threshold": 0.55,
    "linkage": "average",
    "objective": "darling",
    "group_id": "capital-1",
    "rollouts": [
        {
            "text": "Paris.",
            "class": 0,
            "diversity": 1.0,
            "quality": 0.9,
            "reward": 0.9,
            "advantage": None,
        },
        {
            "text": "Lyon.",
            "class": 1,
            "diversity": 1.0,
            "quality": 0.1,
            "reward": 0.1,
            "advantage": None,
        },
    ],
    "probabilities": [[1.0, 0.0123], [0.0123, 1.0]],
}
