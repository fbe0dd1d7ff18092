"""An ONNX graph under construction: every call adds a node and returns the name of what it computes."""

from collections.abc import Sequence
from itertools import count
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from torch import Tensor

OPSET, IR_VERSION = 17, 8
"""Old enough for any runtime of the last years; nothing newer is needed."""


class Graph:
    """Nodes and constants, in the order in which they run. ``parent`` is the graph whose loop this is the body of."""

    def __init__(self, parent: "Graph | None" = None) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._names: count[int] = parent._names if parent else count()

    def __call__(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node of one output; returns its name."""
        name = f"{operator.lower()}_{next(self._names)}"
        self._nodes.append(helper.make_node(operator, inputs, [name], name, **attributes))
        return name

    def output(self, x: str, name: str) -> None:
        """Give a value a name of its own, for an output of the graph."""
        self._nodes.append(helper.make_node("Identity", [x], [name]))

    def constant(self, values: "np.ndarray | Tensor | Sequence[int]") -> str:
        """Floats are stored as float32, integers as int64; returns the name."""
        array = np.asarray(values.detach().cpu() if isinstance(values, Tensor) else values)
        name = f"constant_{next(self._names)}"
        array = array.astype(np.float32 if array.dtype.kind == "f" else np.int64)
        self._constants.append(numpy_helper.from_array(array, name))
        return name

    def size(self, x: str, axis: int) -> str:
        """The size of ``x`` along an axis, as one integer [1]."""
        return self("Shape", x, start=axis, end=axis + 1)

    def sizes(self, *parts: "str | int") -> str:
        """A shape [n] put together from integers that are known and sizes that are not."""
        return self("Concat", *(self.constant([p]) if isinstance(p, int) else p for p in parts), axis=0)

    def cut(self, x: str, axis: int, start: "str | int", stop: "str | int") -> str:
        """``x[start:stop]`` along an axis."""
        first, last = (self.constant([p]) if isinstance(p, int) else p for p in (start, stop))
        return self("Slice", x, first, last, self.constant([axis]))

    def proto(
        self, name: str, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto]
    ) -> onnx.GraphProto:
        """The finished graph."""
        return helper.make_graph(self._nodes, name, inputs, outputs, self._constants)
