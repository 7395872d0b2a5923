"""The moments of a tape and of a request's way, by number: ``stamp(END)`` writes down that it is now. ``compiled_half/``
counts the same."""

OF_TAPE = (
    *("start", "end", "closed_at", "finished_at", "resolve_start", "resolve_end"),
    *("view_made", "view_start", "view_end"),
)
START, END, CLOSED, FINISHED, RESOLVE_START, RESOLVE_END, VIEW_MADE, VIEW_START, VIEW_END = range(len(OF_TAPE))

OF_WAY = "called", "started", "response_started", "first_byte", "last_byte", "prefixed"
CALLED, STARTED, RESPONSE_STARTED, FIRST_BYTE, LAST_BYTE, PREFIXED = range(len(OF_WAY))
