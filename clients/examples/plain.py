"""The rewards of one group, with nothing but the standard library.

    python clients/examples/plain.py [http://127.0.0.1:8000]

It prints [0.45, 0.4, 0.7]: the two Lisbon answers share the credit of one idea, and Kyoto keeps its
own. The URL is that of a running service.
"""

import json
import sys
import time
import urllib.error
import urllib.request

MAX_TRIES = 5
"""Requests that are sent before a busy service is given up."""


def rewards(base_url: str, prompt: str, rollouts: list[str], quality: list[float]) -> list[float]:
    """The rewards of the group's rollouts. Retries after the seconds that the service asks for.

    Raises `RuntimeError` with the service's reason when it refuses the request.
    """
    body = {"groups": [{"prompt": prompt, "rollouts": rollouts, "quality": quality}]}
    request = urllib.request.Request(
        f"{base_url}/v1/rewards",
        data=json.dumps(body).encode(),
        headers={"content-type": "application/json"},
    )
    for attempt in range(1, MAX_TRIES + 1):
        try:
            with urllib.request.urlopen(request, timeout=600) as response:
                return list(json.load(response)["groups"][0]["rewards"])
        except urllib.error.HTTPError as error:
            retry_after_s = error.headers.get("Retry-After")
            if retry_after_s is None or attempt == MAX_TRIES:
                # A zero would be wrong, and a wrong reward is worse than a stopped run.
                raise RuntimeError(json.load(error)["detail"]) from error
            time.sleep(float(retry_after_s))
    raise AssertionError("unreachable: the last try returns or raises")


if __name__ == "__main__":
    print(
        rewards(
            sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000",
            "Name a city worth a visit, and say why in one sentence.",
            [
                "Lisbon, for its warm light, its steep streets and its custard tarts.",
                "I would visit Lisbon for its steep streets, sunshine and custard tarts.",
                "Kyoto, because its temples and gardens are like nothing else.",
            ],
            [0.9, 0.8, 0.7],
        )
    )
