"""`tierwise init --example`: a config with everything that it needs, and what is learnt from its own texts."""
# ruff: noqa: PLC0415  rooms are imported where they are used: `tierwise --help` need not load them

from __future__ import annotations

from pathlib import Path

from tierwise.cli.show import console, plain
from tierwise.errors import ConfigError

TRY = {
    "support": "tierwise drive {folder}traffic.jsonl --route support{config}",
    "moderation": "tierwise drive {folder}traffic.jsonl --route chat{config}",
    "filter": "tierwise screen {folder}comments.jsonl --out {folder}screened.jsonl --config {folder}tierwise.toml",
}


def write(name: str, config: Path, *, force: bool) -> None:
    """Into the config's folder. Raises ConfigError."""
    from tierwise.gateway.setup.examples import copy

    if config.name != "tierwise.toml":
        raise ConfigError(f"{config}: an example's config is called tierwise.toml; --config names it in another folder")
    folder = config.parent
    files = copy(name, folder, force=force)
    for file in files:
        if file.name == "intents.jsonl":
            _learn(file, folder / f"{name}.sorter.npz")
    here = folder == Path()
    words = TRY.get(name, "tierwise doctor{config}")
    told = words.format(folder="" if here else f"{folder}/", config="" if here else f" --config {config}")
    screen = console()
    screen.print(f"Wrote {len(files)} files to {plain(str(folder.absolute()))}. Try it:", soft_wrap=True)
    screen.print(f"\n  {plain(told)}\n", soft_wrap=True)


def _learn(texts: Path, out: Path) -> None:
    from tierwise.cli.results import write as write_whole
    from tierwise.offline.screening.sorting import Wanted, learn, read
    from tierwise.scorers.sorter import dump

    try:
        learnt, _ = learn(read(Wanted(texts)), 0, lambda what, done, total: None)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f'{error.name} is not installed, which learning needs: pip install "tierwise[learn]"'
        ) from error
    write_whole(dump(learnt), out)
