"""The places of a tape's slots: ``STRIDE`` for the core and for each layer. ``_compiled.c`` counts them in the same way."""

STRIDE = 9
ENTRY, ATTRIBUTES_IN, EXIT, STATUS, HEADERS, COOKIES, ATTRIBUTES_OUT, HOP_START, HOP_END = range(STRIDE)
OFF = -1
"""At ``ENTRY``: the layer is off."""
