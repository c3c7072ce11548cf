"""What a config may say of a model's price: rates a token, or a machine's cost and speed, never a mix of both."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.errors import ConfigError
from tierwise.gateway.prices.priced import listed, priced
from tierwise.gateway.settings import load
from tierwise.gateway.tables.model_table import PriceTable

TEXT = """\
[models.own]
provider = "openai"
model = "llama"
base_url = "http://127.0.0.1:9/v1"
price = {{ {price} }}
[routes.support]
tiers = ["own"]
"""


def written(folder: Path, price: str) -> Path:
    (folder / "c.toml").write_text(TEXT.format(price=price), encoding="utf-8")
    return folder / "c.toml"


@pytest.mark.parametrize(
    ("price", "said"),
    [
        ("gpu_usd_per_hour = 1, tokens_per_second = 1, input = 1", "either rates a token"),
        ("gpu_usd_per_hour = 1, tokens_per_second = 1, cache_read = 1", "either rates a token"),
        ("gpu_usd_per_hour = 1", "needs both `gpu_usd_per_hour` and `tokens_per_second`"),
        ("tokens_per_second = 1", "needs both"),
        ("input_tokens_per_second = 1", "needs both"),
        ("input = 1", "needs `input` and `output`"),
        ("output = 1", "needs `input` and `output`"),
        ("", "needs `input` and `output`"),
        ("gpu_usd_per_hour = 1, tokens_per_second = 0", "price.tokens_per_second: must be above 0"),
        ("gpu_usd_per_hour = -1, tokens_per_second = 9", "price.gpu_usd_per_hour: must be above 0"),
        ("gpu_usd_per_hour = inf, tokens_per_second = 9", "price.gpu_usd_per_hour: must be above 0"),
        ("input = -1, output = 1", "price.input: must be from 0 to 1000000"),
        ("input = 1, output = 1000001", "price.output: must be from 0 to 1000000"),
    ],
)
def test_mistakes(tmp_path: Path, price: str, said: str) -> None:
    """Told with the place and what would be right."""
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, price), {})
    assert len(caught.value.problems) == 1
    assert said in caught.value.problems[0]


def test_it_is_listed_with_its_reason(tmp_path: Path) -> None:
    """In `prices check` and in `prices show`."""
    config = load(written(tmp_path, "gpu_usd_per_hour = 3.6, tokens_per_second = 1000"), {})
    (found,) = priced(config, 0)
    assert (found.source, found.checked, found.varies) == (
        "config: 3.6 USD a GPU hour at 1000 tokens/s",
        None,
        False,
    )
    assert found.price is not None
    assert (found.price.input, found.price.output) == (1_000_000, 1_000_000)
    (entry,) = listed("own", config)
    assert (entry.periods[0].output, entry.periods[0].source) == (Decimal(1), found.source)


usd = st.decimals("0.000001", 1_000_000, places=6)


@given(usd, usd, usd)
def test_a_second_of_the_machine_is_never_sold_below_its_cost(hour: Decimal, speed: Decimal, reading: Decimal) -> None:
    """Rounded up, by less than a pico-dollar a token."""
    price = PriceTable(gpu_usd_per_hour=hour, tokens_per_second=speed, input_tokens_per_second=reading).price()
    for rate, tokens in ((price.output, speed), (price.input, reading)):
        exact = hour * 10**12 / 3600 / tokens
        assert exact * Decimal("0.999999999999") <= rate < exact + Decimal("1.000001")
