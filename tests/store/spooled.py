"""What the journals beside a ledger's file hold, whether the database has it or not."""

from pathlib import Path

from tierwise.money import Reservation
from tierwise.store.journal import MAGIC, START, Line, lines


def promised(ledger: Path) -> list[Line]:
    """Lines in their order, process by process."""
    mark = START.to_bytes(8, "little")
    files = sorted(ledger.with_name(f"{ledger.name}.spool").glob("*.journal"))
    return [line for file in files for line in lines(MAGIC + mark + file.read_bytes()[len(MAGIC + mark) :])]


def reserved(ledger: Path) -> list[Reservation]:
    """Of these the reservations, in the order in which their requests began."""
    found = [line for line in promised(ledger) if isinstance(line, Reservation)]
    return sorted(found, key=lambda item: item.started_ns)
