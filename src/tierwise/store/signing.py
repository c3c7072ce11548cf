"""Signs certificates and checks them: Ed25519 (RFC 8032) over the document's own JSON.

Anybody with the file can check it offline; whose key it is, is for the reader to know. Knows no routes, and not
whether what a certificate says still holds.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import msgspec

from tierwise.core.certificate import FORMAT, Certificate, Signed, content
from tierwise.errors import ConfigError

LARGEST = 1 << 20  # bytes of a file
_PUBLIC = re.compile(r"[0-9a-f]{64}")
_SIGNATURE = re.compile(r"[0-9a-f]{128}")


class _Format(msgspec.Struct):
    format: int


class _Any(msgspec.Struct):
    """A certificate of whatever format."""

    certificate: _Format


def sign(certificate: Certificate, seed: bytes) -> Signed:
    """`seed`: 32 secret bytes, the private key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415  only who signs

    key = Ed25519PrivateKey.from_private_bytes(seed)
    return Signed(certificate, key.public_key().public_bytes_raw().hex(), key.sign(content(certificate)).hex())


def public_key(seed: bytes) -> str:
    """In hexadecimal."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw().hex()


def fingerprint(key: str) -> str:
    """Of a public key: short enough to be read out."""
    return hashlib.sha256(bytes.fromhex(key)).hexdigest()[:16]


def packed(signed: Signed) -> bytes:
    """As a file."""
    return msgspec.json.format(msgspec.json.encode(signed), indent=2) + b"\n"


def read(path: Path, trusted: str | None = None) -> Signed:
    """A certificate whose signature is right; by the public key `trusted`, where one is given.

    Raises ConfigError where there is none, it is damaged or forged, or signed by another key.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise ConfigError(f"{path}: larger than any certificate")
        packed = path.read_bytes()
        found = msgspec.json.decode(packed, type=_Any).certificate.format
        if found != FORMAT:  # its other fields may be none that this version knows
            raise ConfigError(f"{path}: format {found}, and this version reads {FORMAT}; certify the route anew")
        signed = msgspec.json.decode(packed, type=Signed)
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror or error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not a certificate of `tierwise certify`") from error
    if trusted is not None and signed.key != trusted.strip().lower():
        raise ConfigError(
            f"{path}: signed by the key {_short(signed.key)}, and {_short(trusted)} is the one to be trusted"
        )
    if not _genuine(signed):
        raise ConfigError(f"{path}: the signature is not this document's: it was changed, or damaged")
    return signed


def _short(key: str) -> str:
    """What an error may show of it."""
    return fingerprint(key) if _PUBLIC.fullmatch(key.strip().lower()) else "(not a public key)"


def _genuine(signed: Signed) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415  only who has a certificate
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

    if not (_PUBLIC.fullmatch(signed.key) and _SIGNATURE.fullmatch(signed.signature)):
        return False  # the same bytes can be spelled in many ways: one document has one spelling
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(signed.key))
        key.verify(bytes.fromhex(signed.signature), content(signed.certificate))
    except (InvalidSignature, ValueError):
        return False
    return True
