"""What is shown of texts that come from outside: file names, headers, labels.

Belongs here: what keeps a text from being printed or published as it stands.
Does not belong here: hashing of ids (`casting.hashing`), where a text is shown.
"""

import re

# A mail address, a telephone number, a Swedish personal number; as DuckDB (RE2) reads it too.
PERSONAL = r"\S@\S|(^|[^\w.-])(\+|00?)[1-9][\d ()/.-]{5,14}\d($|[^\w-])|\b(\d{2})?\d{6}[-+]\d{4}\b"


def printable(text: str) -> str:
    """A text that cannot write lines or colours of its own into a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)


def is_personal(text: str) -> bool:
    """Whether a text holds what reaches or identifies a person, as a header or label does not."""
    return bool(re.search(PERSONAL, text))
