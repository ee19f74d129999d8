"""Values that are no values: masks, placeholders, references (R-MASKBACK).

Rules of this file
- What redaction shows is not to come back as if it were the value: an agent that stores `sk-...` breaks every later call.
- `is_mask` judges a whole value and errs towards no: a real password may contain stars. `has_reference` judges any text and errs
  towards yes: it looks for a reference anywhere, under every encoding that redaction undoes.
"""

from __future__ import annotations

import re

from kv.redact.database import LEVELS
from kv.redact.decode import views

_REFERENCE = re.compile(rb"\{\s*\{\s*kv\s*:", re.IGNORECASE)
_STAND_INS = "*\u2022\u00b7\u25cf\u25e6\u2219xX._\u2026#?-"
_MASK = re.compile(
    rf"""
      \{{\{{\s*kv\s*:.*\}}\}} | \u2039\s*kv\s*:.*\u203a | kv://\S* | \$\{{.*\}} | \{{\{{.*\}}\}}
    | [{re.escape(_STAND_INS)}\s]+                                     # ********, xxxxxxxx, ....
    | [<\[(]\s*[\w .:-]*(?:redacted|masked|hidden|removed|secret|filtered|censored|sensitive)[\w .:-]*\s*[>\])]
    | redacted | masked | hidden
    | <[\w .-]+> | \[your[\w .-]*\]                                      # <api-key>, [your key]
    | [\w+/=:.-]{{0,24}}(?:\.{{3,}}|\u2026+|[*\u2022\u25cf]{{3,}}|x{{6,}}|X{{6,}})[\w+/=:.-]{{0,24}}   # sk-..., ****1234, S3cr3...7890
    | (?:change|replace|fill)[ _-]?(?:me|this|it)(?:[ _-]?(?:in|now|please))?!?
    | (?:your|my|the|insert|enter|put|paste|add)[ _-](?:[a-z]+[ _-]){{0,4}}
      (?:key|token|secret|password|passwd|value|credential|credentials)(?:[ _-](?:here|goes[ _-]here))?
    | (?:api[ _-]?key|token|secret|password|value)[ _-]here
    | todo | tbd | fixme | n/?a | none | null | undefined | placeholder | dummy | example | changeit
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_LONGEST = 256  # characters of a mask: what is longer was not made by masking, and a regular expression need not read a megabyte


def is_mask(value: bytes) -> bool:
    """True for an empty value and for one that stands for another: a marker, stars, `sk-...`, `changeme`."""
    text = value.decode("utf-8", "replace").strip().strip("\"'`")
    if not text:
        return True
    return len(text) <= _LONGEST and _MASK.fullmatch(text) is not None


def has_reference(value: bytes) -> bool:
    """True if `{{kv:` stands in `value`, in any case, spaced, or under up to two encodings."""
    layer = [value]
    for _level in range(LEVELS + 1):
        if any(_REFERENCE.search(text) for text in layer):
            return True
        layer = [view.data for text in layer for view in views(text)]
    return False
