"""Numbers and moments as the language that is spoken writes them."""

from datetime import datetime

from inspection.words.catalogues import current

THIN_SPACE = "\u202f"
_DECIMAL_POINT = ("en",)
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip


def number(value: int) -> str:
    """A whole number: 12345 is "12 345" with a thin space."""
    return f"{value:,}".replace(",", THIN_SPACE)


def decimal(value: float, digits: int) -> str:
    """A number with so many decimals: 0.5, in German 0,5."""
    text = f"{value:.{digits}f}"
    return text if current().language in _DECIMAL_POINT else text.replace(".", ",")


def percent(share: float, digits: int = 0) -> str:
    """A share of 1 as per cent: 0.125 is "12 %", with 1 digit "12.5 %"."""
    return f"{decimal(100 * share, digits)}{THIN_SPACE}%"


def probability(value: float) -> str:
    """A probability as per cent; what is only near 0 or 1 is never said to be it: "> 99 %"."""
    if value < 0.005:
        return f"<{THIN_SPACE}1{THIN_SPACE}%"
    return f">{THIN_SPACE}99{THIN_SPACE}%" if value >= 0.995 else percent(value)


def moment(time: datetime) -> str:
    """A moment to the minute, UTC: "3 May 2026, 14:05 UTC"."""
    known = current().words
    month = known.get(_MONTHS[time.month - 1], _MONTHS[time.month - 1])
    pattern = known.get("{day} {month} {year}, {clock} UTC", "{day} {month} {year}, {clock} UTC")
    return pattern.format(day=time.day, month=month, year=time.year, clock=f"{time:%H:%M}")
