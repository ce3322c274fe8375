"""Texts of somebody else: a terminal shows them, and obeys nothing in them."""

import unicodedata


def shown(text: str) -> str:
    r"""Return a text of somebody else, on one line, with what a terminal would obey written out as ``\x1b``.

    That is every control character (C0, C1), every mark that turns the direction of writing, and ends of
    lines: general categories C, Zl and Zp of Unicode.
    """
    return text if text.isprintable() else "".join(map(_sign_shown, text))


def _sign_shown(sign: str) -> str:
    if sign.isprintable() or unicodedata.category(sign) == "Zs":
        return sign
    return sign.encode("unicode_escape").decode("ascii")
