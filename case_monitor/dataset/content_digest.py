"""What makes two images the same one."""

import hashlib


def content_digest(pixels: bytes) -> bytes:
    """Of one image alone."""
    return hashlib.blake2b(pixels, digest_size=16).digest()
