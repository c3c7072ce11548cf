"""Signatures of certificates: whatever is changed in a file, its reader notices."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.test_certificate import certificate
from tierwise.core.certificate import FORMAT, Signed
from tierwise.errors import ConfigError
from tierwise.store.signing import LARGEST, fingerprint, packed, public_key, read, sign

# The first test vector of RFC 8032, section 7.1.
SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
SIGNED = sign(certificate(), SEED)


def put(folder: Path, content: bytes) -> Path:
    path = folder / "c.json"
    path.write_bytes(content)
    return path


def problem(path: Path, trusted: str | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        read(path, trusted)
    return caught.value.message.replace(f"{path}: ", "")


def test_there_and_back(tmp_path: Path) -> None:
    """A file says what was signed, and by whom."""
    path = put(tmp_path, packed(SIGNED))
    assert read(path) == read(path, PUBLIC) == read(path, PUBLIC.upper()) == SIGNED
    assert public_key(SEED) == SIGNED.key == PUBLIC
    assert sign(certificate(), SEED) == SIGNED


def test_another_key(tmp_path: Path) -> None:
    """Is genuine, and not what the reader trusts."""
    path = put(tmp_path, packed(sign(certificate(), bytes(32))))
    assert read(path).key != PUBLIC
    assert f"{fingerprint(PUBLIC)} is the one to be trusted" in problem(path, PUBLIC)
    assert "(not a public key) is the one" in problem(path, "hunter2")


@pytest.mark.parametrize(
    "forged",
    [
        Signed(certificate(alpha=0.01), SIGNED.key, SIGNED.signature),
        Signed(certificate(expires=9_000), SIGNED.key, SIGNED.signature),
        Signed(certificate(), SIGNED.key.upper(), SIGNED.signature),
        Signed(certificate(), SIGNED.key, SIGNED.signature.upper()),
        Signed(SIGNED.certificate, public_key(bytes(32)), SIGNED.signature),
        Signed(SIGNED.certificate, SIGNED.key, "00" * 64),
        Signed(SIGNED.certificate, SIGNED.key, "no hexadecimal"),
        Signed(SIGNED.certificate, "", SIGNED.signature),
    ],
)
def test_forged(tmp_path: Path, forged: Signed) -> None:
    """Another content, another key, another signature."""
    assert problem(put(tmp_path, packed(forged))) == "the signature is not this document's: it was changed, or damaged"


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(packed(SIGNED)) - 1), st.integers(1, 127))
def test_any_byte_matters(tmp_path_factory: pytest.TempPathFactory, at: int, change: int) -> None:
    """A file with one byte changed is refused, unless it still says exactly the same."""
    content = bytearray(packed(SIGNED))
    content[at] ^= change
    path = put(tmp_path_factory.mktemp("c"), bytes(content))
    try:
        assert read(path) == SIGNED
    except ConfigError:
        return


def test_what_is_no_certificate(tmp_path: Path) -> None:
    """Said in a line each."""
    assert problem(tmp_path / "none.json").endswith("No such file or directory")
    for content in (b"", b"{}", b"\xff", b"[1]", packed(SIGNED)[:-20]):
        assert problem(put(tmp_path, content)) == "not a certificate of `tierwise certify`"
    assert problem(put(tmp_path, b" " * (LARGEST + 1))) == "larger than any certificate"
    newer = msgspec.json.decode(packed(SIGNED))
    for version in (FORMAT + 1, FORMAT - 1):
        newer["certificate"]["format"] = version
        newer["certificate"].pop("ladder", None)  # what another format has, nobody knows
        told = f"format {version}, and this version reads {FORMAT}; certify the route anew"
        assert problem(put(tmp_path, msgspec.json.encode(newer))) == told
    del newer["certificate"]["format"]
    assert problem(put(tmp_path, msgspec.json.encode(newer))) == "not a certificate of `tierwise certify`"
    assert msgspec.json.decode(packed(SIGNED))["certificate"]["alpha"] == 0.03
