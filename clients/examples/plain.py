"""Rewards for one group with nothing but the standard library.

python clients/examples/plain.py [http://127.0.0.1:8000]
"""

import json
import sys
import time
import urllib.error
import urllib.request

TRIES = 5


def rewards(base_url: str, prompt: str, rollouts: list[str], quality: list[float]) -> list[float]:
    """The group's diversity-scaled rewards; waits and tries again when the service says so."""
    body = {"groups": [{"prompt": prompt, "rollouts": rollouts, "quality": quality}]}
    request = urllib.request.Request(
        f"{base_url}/v1/rewards",
        data=json.dumps(body).encode(),
        headers={"content-type": "application/json"},
    )
    for attempt in range(1, TRIES + 1):
        try:
            with urllib.request.urlopen(request, timeout=600) as answer:
                return list(json.load(answer)["groups"][0]["rewards"])
        except urllib.error.HTTPError as error:
            wait = error.headers.get("Retry-After")
            if wait is None or attempt == TRIES:
                # Never a silent zero: a wrong reward is worse than a stopped run.
                raise RuntimeError(json.load(error)["detail"]) from error
            time.sleep(float(wait))
    raise AssertionError("unreachable: the last try returns or raises")


if __name__ == "__main__":
    print(
        rewards(
            sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000",
            "Name a colour.",
            ["Blue.", "I would say blue.", "Red."],
            [1.0, 1.0, 1.0],
        )
    )
