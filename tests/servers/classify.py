"""`POST /classify` as vLLM answers it: texts tokenized as they are, classes softmaxed."""

import argparse
import threading
import time
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tests.servers.processes import answer_posts

NONSENSE: dict[str, Any] = {
    "nan": {"data": [{"index": 0, "probs": [float("nan")]}]},
    "short": {"data": []},
    "percent": {"data": [{"index": 0, "probs": [10.0, 90.0]}]},
    "text": "I would say they are much alike.",
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("checkpoint")
    parser.add_argument("--delay", type=float, default=0)
    given = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(given.checkpoint)
    model = AutoModelForSequenceClassification.from_pretrained(given.checkpoint).eval()
    lock = threading.Lock()
    asked, nonsense = 0, None

    def answer(path: str, body: dict[str, Any], headers: dict[str, str]) -> tuple[int, Any]:
        nonlocal asked, nonsense
        if path == "/asked":
            return 200, asked
        if path == "/say":
            nonsense = body["nonsense"]
            return 200, nonsense
        if path != "/classify":
            return 404, {"error": "no such route"}
        if body.get("model", "similarity") != "similarity":
            return 404, {"error": f"no model {body['model']}"}
        asked += 1
        if nonsense is not None:
            return 200, NONSENSE[nonsense]
        time.sleep(given.delay)
        data = []
        for index, text in enumerate(body["input"]):
            if "unreadable" in text:
                return 400, {"error": "the input is too long"}
            inputs = tokenizer(
                text,
                add_special_tokens=body.get("add_special_tokens", True),
                return_tensors="pt",
            )
            with lock, torch.inference_mode():
                probs = model(**inputs).logits[0].softmax(0).tolist()
            data.append({"index": index, "probs": probs, "num_classes": len(probs)})
        return 200, {"object": "list", "model": "similarity", "data": data[::-1]}

    answer_posts(answer)


if __name__ == "__main__":
    main()
