"""Values that are no values: masks, placeholders, references (R-MASKBACK).

Rules of this file
- What redaction shows is not to come back as if it were the value: an agent that stores `sk-...` breaks every later
  call.
- `is_mask` judges a whole value and errs towards no: a password may contain stars. `has_reference` judges any text
  and errs towards yes: it looks for a reference anywhere, under every encoding that redaction undoes.
"""

from __future__ import annotations

import re

from kv.redact.database import LEVELS
from kv.redact.decode import views

_REFERENCE = b"{{kv:"
_BETWEEN = bytes(range(0x21)) + b"\\+"  # white space, a form's too, and what an escape leaves behind
_STEP = 128 << 10
_OVERLAP = 8 << 10  # more than a reference's beginning takes with every character escaped twice
_LONGEST = 256  # characters of a mask: what is longer was not made by masking

_MASK = re.compile(
    r"""
      \{\{.*\}\} | \$\{.*\} | \u2039\s*kv\s*:.*\u203a | kv://\S*             # references, ours and a template's
    | [*xX.\u2022\u00b7\u25cf\u25e6\u2219\u2026_\#?\s-]+                    # ********, xxxxxxxx, ....
    | [\w+/=:.-]{0,24} (?: \.{3,} | \u2026+ | [*\u2022\u25cf]{3,} | [xX]{6,} ) [\w+/=:.-]{0,24}  # S3cr3...7890
    | [<\[(*] [^\n]* (?: redacted | masked | hidden | removed | filtered | censored ) [^\n]* [>\])*]
    | (?: value[ _-] )? (?: redacted | masked | hidden | removed | filtered | censored )
    | < [\w .-]+ > | \[ your [\w .-]* \]                                     # <api-key>, [your key]
    | (?: change | replace | fill ) [ _-]? (?: me | this | it ) (?: [ _-]? (?: in | now | please ) )? !?
    | (?: your | my | the | insert | enter | put | paste | add ) [ _-] (?: [a-z]{1,24}[ _-] ){0,4}
      (?: key | token | secret | password | passwd | value | credentials? ) (?: [ _-] (?: goes[ _-] )? here )?
    | (?: (?: api [ _-]? )? key | token | secret | password | value ) [ _-] here
    | todo | tbd | fixme | n/?a | none | null | undefined | placeholder | dummy | example | changeit
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)


def is_mask(value: bytes) -> bool:
    """True for an empty value and for one that stands for another: a marker, stars, `sk-...`, `changeme`."""
    text = value.decode("utf-8", "replace").strip().strip("\"'`")
    return not text or (len(text) <= _LONGEST and _MASK.fullmatch(text) is not None)


def has_reference(value: bytes) -> bool:
    """True if `{{kv:` stands in `value`, in any case, spaced, or under up to two encodings."""
    return any(_refers(value[at : at + _STEP + _OVERLAP], LEVELS) for at in range(0, len(value), _STEP))


def _refers(text: bytes, levels: int) -> bool:
    if _REFERENCE in text.lower().translate(None, _BETWEEN):
        return True
    return levels > 0 and any(_refers(view.data, levels - 1) for view in views(text))
