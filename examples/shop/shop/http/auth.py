"""Signing of webhooks: both sides share a secret, the body is signed."""

import hashlib
import hmac

from requests.auth import AuthBase

HEADER = "X-Shop-Signature"


def signature_of(body: bytes, secret: str) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


class SignedRequest(AuthBase):
    """Sign the body of a request with *secret*."""

    def __init__(self, secret: str):
        self.secret = secret

    def __call__(self, request):
        body = request.body or b""
        if isinstance(body, str):
            body = body.encode("utf-8")
        request.headers[HEADER] = signature_of(body, self.secret)
        return request

    def __eq__(self, other):
        return isinstance(other, SignedRequest) and self.secret == other.secret
