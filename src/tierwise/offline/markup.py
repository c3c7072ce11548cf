"""Elements of HTML and SVG, in which every text and every attribute is escaped: only `Markup` goes in as it is.

Knows no page and no picture.
"""

from __future__ import annotations

from html import escape

_VOID = frozenset({"meta", "br"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def element(name: str, /, *inside: str, **attributes: str | float) -> Markup:
    """`class_` is the attribute class; other names have a hyphen where they have an underscore here."""
    given = "".join(f' {_attribute(key)}="{escape(_told(value))}"' for key, value in attributes.items())
    if name in _VOID:
        return Markup(f"<{name}{given}>")
    return Markup(f"<{name}{given}>{joined(*inside)}</{name}>")


def joined(*parts: str) -> Markup:
    return Markup("".join(part if isinstance(part, Markup) else escape(part) for part in parts))


def _attribute(key: str) -> str:
    return "class" if key == "class_" else key.replace("_", "-")


def _told(value: str | float) -> str:
    """Coordinates to a hundredth."""
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")
