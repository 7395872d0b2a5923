"""SQL for reading: clauses on lines of their own, and a statement told in two words."""

import re

_TOKEN = re.compile(r"""('(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\])""")
_CLAUSE = re.compile(
    r"\s+((?:FROM|WHERE|GROUP BY|HAVING|ORDER BY|LIMIT|OFFSET|VALUES|SET|RETURNING|UNION(?: ALL)?|ON CONFLICT|"
    r"(?:LEFT OUTER |LEFT |RIGHT OUTER |RIGHT |INNER |CROSS |FULL )?JOIN)\b)",
    re.IGNORECASE,
)


def readable(sql: str) -> str:
    """``sql`` with its clauses on lines of their own."""
    parts = _TOKEN.split(sql.strip())
    return "".join(part if position % 2 else _CLAUSE.sub(r"\n\1", part) for position, part in enumerate(parts))


_TABLE = re.compile(
    r"""\b(?:FROM|INTO|UPDATE|TABLE)\s+(?:ONLY\s+)?[("`\[]*([\w.$]+(?:["`\]]\.["`\[][\w$]+)*)""", re.IGNORECASE
)
_VERB = re.compile(r"[a-z]+", re.IGNORECASE)


def told(sql: str) -> str:
    """What ``sql`` does in two words, such as ``SELECT article``; its beginning where no table is named."""
    verb, table = _VERB.search(sql), _TABLE.search(sql)
    if verb is None or table is None:
        return sql.strip()[:60]
    name = re.sub(r"[^\w.$]", "", table.group(1))
    return f"{verb.group().upper()} {name}"
