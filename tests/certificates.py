"""Certificates of this host."""

import subprocess
from pathlib import Path


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for `localhost` and 127.0.0.1, which is its own authority, and return its file and its key's.

    They are `cert.pem` and `key.pem` in *folder*.
    """
    certificate, key = folder / "cert.pem", folder / "key.pem"
    words = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", "req", "-x509", *words, *names, *files], check=True, capture_output=True)
    return certificate, key
