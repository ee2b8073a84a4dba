"""Results of earlier model units, bounded in bytes; the least recently used are dropped first."""

from threading import Lock

from cachetools import LRUCache

from darling_models.protocol import Result

ENTRY_BYTES = 300
"""Bytes that an entry takes beside its result: key, slots of the dict, object headers."""


class ResultCache:
    """Keys must contain the model's fingerprint; results must not change after they are put.

    May be used in any thread.
    """

    def __init__(self, max_bytes: int) -> None:
        self._entries: LRUCache[bytes, Result] = LRUCache(max_bytes, getsizeof=_size)
        self._lock = Lock()

    def get(self, key: bytes) -> Result | None:
        with self._lock:
            return self._entries.get(key)

    def put(self, key: bytes, result: Result) -> None:
        if _size(result) <= self._entries.maxsize:
            with self._lock:
                self._entries[key] = result

    @property
    def nbytes(self) -> int:
        return int(self._entries.currsize)


def _size(result: Result) -> int:
    return result.nbytes + ENTRY_BYTES
