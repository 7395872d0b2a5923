"""The events of a tape: tuples ``(kind, start, end, thread, …)``; at most ``EVENT_LIMIT`` are kept, and of queries
``QUERIES_KEPT``; the rest is counted:

======== ==============================================================================================================
QUERY    sql, params, alias, rows (-1: unknown, [n]: counted while they are fetched), how many parameter sets (0: plain),
         in a transaction, error or None, code, place
TEMPLATE name, engine, context keys (tuple), relation (render | include | extends | import), file
CACHE    alias, operation, key (str), hit (bool or None), code, place
LOG      level name, logger, message template, arguments, file, line
HOOK     position, hook, answered, attributes after, response after, start and end inside the adapted call, error
RENDER   (nothing more)
AGAIN    position: the layer was entered a second time
======== ==============================================================================================================

``code`` is a code object or None (no line of the user's own on the stack), ``place`` an offset in its bytecode. Stamps are
nanoseconds of ``clock.now``; ``thread`` is ``threading.get_ident()``.
"""

EVENT_LIMIT = 4000
QUERIES_KEPT = 1000

QUERY, TEMPLATE, CACHE, LOG, HOOK, RENDER, AGAIN = range(7)
"""``compiled_half/`` counts them in the same way."""
