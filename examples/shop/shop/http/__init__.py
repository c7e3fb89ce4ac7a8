"""How the shop talks HTTP: sessions with timeouts, signing, downloads."""

from shop.http.auth import SignedRequest, signature_of
from shop.http.download import download
from shop.http.session import TimeoutAdapter, new_session

__all__ = ["SignedRequest", "TimeoutAdapter", "download", "new_session", "signature_of"]
