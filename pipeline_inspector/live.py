"""The Channels group: names, message shapes, publish(). A message only wakes viewers; the store is what they read.

``publish()`` may be called from any plain thread and never on the path of a request.
"""

GROUP = "pipeline_inspector"


def publish(last_seq: int) -> None:
    """Tell all viewers that there are records up to ``last_seq``. Never raises; failures go to ``faults.note``."""
    raise NotImplementedError
