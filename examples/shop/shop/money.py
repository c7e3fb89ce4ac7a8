"""Amounts are whole cents everywhere; these convert at the edges."""

from decimal import ROUND_HALF_UP, Decimal

CENT = Decimal("0.01")


def cents(amount: Decimal) -> int:
    return int((amount / CENT).to_integral_value(rounding=ROUND_HALF_UP))


def pretty(value: int, currency: str) -> str:
    return "{}{}.{:02d} {}".format("-" if value < 0 else "", abs(value) // 100, abs(value) % 100, currency)


def reduced(value: int, percent: int) -> int:
    """Return *value* less *percent*, rounded in the customer's favour."""
    if not 0 <= percent <= 100:
        raise ValueError("a discount is between 0 and 100 %, not {}".format(percent))
    return value * (100 - percent) // 100
