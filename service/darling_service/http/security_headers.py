"""Headers that every answer has, whichever server gives it."""

SECURITY_HEADERS = [
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),  # a URL may hold the key
    ("Cache-Control", "no-store"),  # a cache between would keep rewards, and the answers to a key
    (
        "Content-Security-Policy",
        "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
]
"""Headers of every answer, errors among them. The page at /docs has a script of its own in it, and
needs nothing from other hosts."""
