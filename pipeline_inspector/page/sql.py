"""SQL for reading: a line break before each clause, never inside a quoted text or name."""

import re

_TOKEN = re.compile(r"""('(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\])""")
_CLAUSE = re.compile(
    r"\s+(?=(?:FROM|WHERE|GROUP BY|HAVING|ORDER BY|LIMIT|OFFSET|VALUES|SET|RETURNING|UNION(?: ALL)?|"
    r"(?:LEFT OUTER |LEFT |RIGHT OUTER |RIGHT |INNER |CROSS |FULL )?JOIN|ON CONFLICT)\b)",
    re.IGNORECASE,
)


def readable(sql: str) -> str:
    """``sql`` with its clauses on lines of their own."""
    parts = _TOKEN.split(sql.strip())
    return "".join(part if position % 2 else _CLAUSE.sub("\n", part) for position, part in enumerate(parts))
