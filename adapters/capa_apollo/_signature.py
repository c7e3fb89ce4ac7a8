"""The signature of requests that Apollo's server asks for, which some clients have as a method."""

from __future__ import annotations

import base64
import hashlib
import hmac


def signature(timestamp: str, uri: str, secret: str) -> str:
    """Return the signature of *uri*, path and query, at *timestamp* in milliseconds."""
    signed = hmac.new(secret.encode(), f"{timestamp}\n{uri}".encode(), hashlib.sha1)
    return base64.b64encode(signed.digest()).decode()
