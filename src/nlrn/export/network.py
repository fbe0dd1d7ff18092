"""An NLRN as an ONNX model: :class:`nlrn.network.NLRN`, node by node, with its weights."""

import json
from dataclasses import asdict
from importlib.metadata import version
from typing import NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper
from torch import Tensor

from nlrn.config import Config
from nlrn.export.correlation import attention
from nlrn.export.graph import IR_VERSION, OPSET, Graph
from nlrn.network import NLRN
from nlrn.pixels.degrade import bicubic_weights


def model_proto(network: NLRN, scale: int | None = None) -> onnx.ModelProto:
    """The model: "image" [batch, C, height, width] and, with a noise map, "sigma" [batch] in, "restored" out.

    Args:
        network: what it computes.
        scale: by how much a network of ``post_upsampling`` enlarges there; None for the others.
    """
    config = network.config
    inputs = [
        helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", config.channels, "height", "width"])
    ]
    if config.noise_map:
        inputs.append(helper.make_tensor_value_info("sigma", TensorProto.FLOAT, ["batch"]))
    size = [f"{scale} * {side}" for side in ("height", "width")] if scale else ["height", "width"]
    output = helper.make_tensor_value_info("restored", TensorProto.FLOAT, ["batch", config.channels, *size])
    nodes = _Network(network, scale)
    graph = nodes.build().proto("nlrn", inputs, [output])
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="nlrn",
        producer_version=version("nlrn"),
    )
    said = {"config": json.dumps(asdict(config))}
    helper.set_model_props(model, {**said, "scale": str(scale)} if scale else said)
    onnx.checker.check_model(model, full_check=True)
    return model


class _Carried(NamedTuple):
    """The state between steps: the queries and keys of all steps so far, and their channels."""

    q: str
    k: str
    depth: int


class _Network:
    """The graph of a network under construction; the methods are named as its parts."""

    def __init__(self, network: NLRN, scale: int | None) -> None:
        self.config: Config = network.config
        self.scale = scale
        self.weights: dict[str, Tensor] = network.state_dict()
        for name in ("tail.weight", "tail.bias"):
            self.weights[name] = self.weights[name][network.made(scale)]
        self.g = Graph()
        self.constants: dict[str, str] = {}
        self.epsilon = network.head_norm.eps

    def build(self) -> Graph:
        g, x = self.g, self.unshuffled("image")
        if self.config.noise_map:
            shape = g.sizes(g.size(x, 0), 1, g.size(x, 2), g.size(x, 3))
            level = g("Reshape", "sigma", g.constant([-1, 1, 1, 1]))
            x = g("Concat", x, g("Expand", level, shape), axis=1)
        y = state = self.conv("head", self.norm("head_norm", x))
        carried: _Carried | None = None
        for t in range(self.config.steps):
            norms, body = f"norms.{t}", f"bodies.{self.config.group(t)}"
            features = g("Relu", self.norm(f"{norms}.block", state))
            if self.config.every and t % self.config.every == 0:
                features, carried = self.non_local(
                    f"{body}.non_local", features, carried if self.config.propagate else None
                )
            features = self.conv(f"{body}.conv1", self.norm(f"{norms}.conv1", features))
            features = self.conv(f"{body}.conv2", g("Relu", self.norm(f"{norms}.conv2", features)))
            state = g("Add", features, y)
        residual = self.conv("tail", g("Relu", self.norm("tail_norm", state)))
        base = self.enlarged("image", self.scale) if self.scale else "image"
        g.output(g("Add", base, self.shuffled(residual)), "restored")
        return g

    def enlarged(self, x: str, scale: int) -> str:
        """The bicubic enlargement of one channel: each pixel of a square of scale x scale by a kernel of its own."""
        g, middle = self.g, 4
        indices, weights = bicubic_weights(2 * middle + 1, (2 * middle + 1) * scale)
        lines = np.zeros((scale, 5))  # for each pixel of a row of the square, the weights of five pixels around
        for pixel, line in enumerate(lines):
            at = middle * scale + pixel
            known = weights[at] != 0
            line[indices[at][known] - middle + 2] = weights[at][known]
        kernels = np.einsum("ay,bx->abyx", lines, lines).reshape(scale**2, 1, 5, 5)
        around = g("Pad", x, g.constant([0, 0, 2, 2, 0, 0, 2, 2]), mode="edge")
        made = g("Conv", around, g.constant(kernels), kernel_shape=[5, 5])
        return g("DepthToSpace", made, blocksize=scale, mode="CRD")

    def unshuffled(self, x: str) -> str:
        g, side, channels = self.g, self.config.unshuffle, self.config.channels
        if side == 1:
            return x
        # Pad takes what comes before all axes, then what comes behind them
        behind = (g("Mod", g("Neg", g.size(x, axis)), g.constant([side])) for axis in (2, 3))
        x = g("Pad", x, g.sizes(0, 0, 0, 0, 0, 0, *behind), mode="edge")
        x = g("SpaceToDepth", x, blocksize=side)
        if channels == 1:
            return x
        # there the channels of a pixel lie together, in PyTorch the pixels of a channel
        order = np.arange(side**2 * channels).reshape(-1, channels).T.flatten()
        return g("Gather", x, g.constant(order), axis=1)

    def shuffled(self, residual: str) -> str:
        g = self.g
        if self.scale:
            return g("DepthToSpace", residual, blocksize=self.scale, mode="CRD")
        if self.config.unshuffle == 1:
            return residual
        image = g("DepthToSpace", residual, blocksize=self.config.unshuffle, mode="CRD")
        return g.cut(g.cut(image, 2, 0, g.size("image", 2)), 3, 0, g.size("image", 3))

    def non_local(self, part: str, x: str, carried: _Carried | None) -> tuple[str, _Carried]:
        g, config = self.g, self.config
        q, k, depth = self.embed(part, x)
        if carried is not None:
            q, k = (g("Concat", *pair, axis=1) for pair in ((carried.q, q), (carried.k, k)))
            depth += carried.depth
        attended = attention(
            g,
            q,
            k,
            self.conv(f"{part}.g", x),
            depth=depth,
            width=config.filters,
            window=config.window,
            normalize="mean" if config.similarity.endswith("dot") else "softmax",
        )
        return g("Add", x, attended), _Carried(q, k, depth)

    def embed(self, part: str, x: str) -> tuple[str, str, int]:
        """Queries and keys whose dot product is the logit, and their channels."""
        g, config = self.g, self.config
        if config.similarity in ("embedded-gaussian", "embedded-dot"):
            return self.conv(f"{part}.theta", x), self.conv(f"{part}.phi", x), config.embedding
        if config.similarity == "symmetric-embedded-gaussian":
            theta = self.conv(f"{part}.theta", x)
            return theta, theta, config.embedding
        if config.similarity == "euclidean":
            square = g("ReduceSum", g("Mul", x, x), g.constant([1]), keepdims=1)
            ones = g("Expand", g.constant(np.ones(1)), g("Shape", square))
            q = g("Concat", g("Mul", x, g.constant(np.array(2.0))), ones, axis=1)
            return q, g("Concat", x, g("Neg", square), axis=1), config.filters + 1
        return x, x, config.filters

    def conv(self, part: str, x: str) -> str:
        weight = self.weights[f"{part}.weight"]
        side = weight.shape[2]
        parameters = (self.stored(f"{part}.{name}") for name in ("weight", "bias"))
        return self.g("Conv", x, *parameters, kernel_shape=[side, side], pads=[side // 2] * 4)

    def norm(self, part: str, x: str) -> str:
        parameters = (self.stored(f"{part}.{name}") for name in ("weight", "bias", "running_mean", "running_var"))
        return self.g("BatchNormalization", x, *parameters, epsilon=self.epsilon)

    def stored(self, name: str) -> str:
        """The constant of that name; weights that the steps share are stored once."""
        if name not in self.constants:
            self.constants[name] = self.g.constant(self.weights[name])
        return self.constants[name]
