"""A reward server in OpenRLHF's wire format: rewards are lengths, or nonsense where asked for."""

from typing import Any

from tests.servers.processes import answer_posts

SAYS: dict[str, Any] = {
    "nan": {"rewards": [float("nan")]},
    "text": "great",
    "none": {"rewards": None},
    "huge": {"rewards": 1e300},
    "empty": {"rewards": []},
    "list": {"rewards": [[0.25]], "scores": [1]},
}


def main() -> None:
    seen: list[Any] = []

    def answer(path: str, body: dict[str, Any], headers: dict[str, str]) -> tuple[int, Any]:
        if path == "/seen":
            return 200, seen
        if "say fault" in body["query"][0]:
            return 500, {"error": "a fault"}
        for word, said in SAYS.items():
            if f"say {word}" in body["query"][0]:
                return 200, said
        seen.append(body)
        return 200, {"rewards": [float(len(body["query"][0]))]}

    answer_posts(answer)


if __name__ == "__main__":
    main()
