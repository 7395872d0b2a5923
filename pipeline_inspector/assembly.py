"""Packed tape to record: a pure function of a ``Sealed`` and its ``Plan``."""

from pipeline_inspector.records import Plan, RequestRecord, Sealed


def assemble(sealed: Sealed, plan: Plan | None) -> RequestRecord:
    """The finished record of ``sealed``; ``plan`` is the chain it ran through (None: unknown, layers stay unnamed)."""
    raise NotImplementedError
