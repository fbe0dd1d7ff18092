"""The confined correlation behind one door.

:func:`confined_attention` is the operation, :class:`Carried` is what one recurrent step hands to the next.
The definition is :mod:`nlrn.correlation.reference`; everything faster is tested against it.
"""

from nlrn.correlation.choice import available, describe, implementation
from nlrn.correlation.door import Carried, LogitsInPlace, confined_attention, map_bytes, propagated_attention
from nlrn.correlation.reference import reference_attention

__all__ = [
    "Carried",
    "LogitsInPlace",
    "available",
    "confined_attention",
    "describe",
    "implementation",
    "map_bytes",
    "propagated_attention",
    "reference_attention",
]
