"""The places of a tape's slots: ``STRIDE`` for the core and for each layer. ``compiled_half/`` counts the same."""

STRIDE = 9
ENTRY, EXIT, HOP_START, HOP_END, ATTRIBUTES_IN, STATUS, HEADERS, ATTRIBUTES_OUT, COOKIES = range(STRIDE)
OFF = -1
"""At ``ENTRY``: the layer is off."""
