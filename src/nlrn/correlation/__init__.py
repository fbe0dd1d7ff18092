"""The confined correlation behind one door.

:func:`confined_attention` is the operation, :class:`Carried` is what one recurrent step hands to the next.
The definition is :mod:`nlrn.correlation.reference`; everything faster is tested against it.
"""

from nlrn.correlation.attention import (
    Carried,
    LogitsInPlace,
    check_window,
    confined_attention,
    map_bytes,
    propagated_attention,
)
from nlrn.correlation.dispatch import available, describe, form_for, implementation
from nlrn.correlation.reference import reference_attention

__all__ = [
    "Carried",
    "LogitsInPlace",
    "available",
    "check_window",
    "confined_attention",
    "describe",
    "form_for",
    "implementation",
    "map_bytes",
    "propagated_attention",
    "reference_attention",
]
