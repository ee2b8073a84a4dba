"""Keys of content: equal texts have equal keys, on every machine and in every version."""

from hashlib import blake2b


def content_key(*parts: str) -> bytes:
    """A key of 16 bytes, collision-safe and unambiguous about where a part ends."""
    digest = blake2b(digest_size=16)
    for part in parts:
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(8))
        digest.update(encoded)
    return digest.digest()


def pair_key(prompt: str, a: str, b: str) -> bytes:
    """The key of two responses to a prompt, the same for both orders of the pair."""
    return content_key(prompt, *sorted((a, b)))
