"""The confined correlation in standard ONNX operators, for images of any size.

The image is cut into tiles of a few rows and columns. A loop runs over the rows of tiles: it multiplies all tiles
of a row with the blocks of keys around them, in one batched matrix product, and takes the softmax at once. So the
graph has the same few dozen nodes whatever the window and the image, and the logits exist for one row of tiles.
Keys and values are laid out beforehand as overlapping columns of blocks, from which the loop cuts its rows.
"""

import numpy as np
from onnx import TensorProto, helper

from nlrn.export.graph import Graph

TILE_ROWS = 4
TILE_COLUMNS = 8
"""At least; a tile is as wide as the window reaches to both sides, so that its keys lie in two blocks."""
_NEVER = -1e30  # a logit that the softmax takes for minus infinity, and of which no sum is NaN


def _tile(window: int) -> tuple[int, int]:
    """Rows and columns of a tile."""
    return TILE_ROWS, max(window // 2 * 2, TILE_COLUMNS)


def bytes_per_tile(window: int) -> int:
    """Memory for the logits of one tile."""
    rows, cols = _tile(window)
    return 4 * rows * cols * (rows + window - 1) * (cols + window - 1)


def attention(g: Graph, q: str, k: str, v: str, *, depth: int, width: int, window: int, normalize: str) -> str:
    """Adds the nodes of :func:`nlrn.correlation.confined_attention`.

    Args:
        g: the graph.
        q, k, v: names of the queries and keys [B, depth, H, W] and the values [B, width, H, W].
        depth, width: their channels.
        window: side of the neighbourhood.
        normalize: "softmax" or "mean".

    Returns:
        The name of the attended values [B, width, H, W].
    """
    reach, softmax = window // 2, normalize == "softmax"
    rows, cols = _tile(window)
    B, H, W = (g.size(v, axis) for axis in (0, 2, 3))
    down, across = (
        g("Div", g("Add", size, g.constant([side - 1])), g.constant([side])) for size, side in ((H, rows), (W, cols))
    )
    bottom = g("Sub", g("Mul", down, g.constant([rows])), H)
    right = g("Sub", g("Mul", across, g.constant([cols])), W)
    # one block of columns more than tiles, so that each tile has a block behind it
    key_pads = g.sizes(
        *(0, 0, reach, reach, 0, 0),
        g("Add", bottom, g.constant([reach])),
        g("Add", right, g.constant([cols - reach])),
    )
    if softmax:
        # one channel more, 1 in the queries, keeps them from looking beyond the border
        plane = g.sizes(B, 1, H, W)
        q = g("Concat", q, g("Expand", g.constant(np.ones(1)), plane), axis=1)
        beyond = g("Pad", g("Expand", g.constant(np.zeros(1)), plane), key_pads, g.constant(np.array(_NEVER)))
        k = g("Concat", g("Pad", k, key_pads), beyond, axis=1)
        depth += 1
    else:
        k = g("Pad", k, key_pads)
    key_rows = g.size(k, 2)

    def columns(x: str, channels: int, order: tuple[int, ...], axis: int, shape: tuple["str | int", ...]) -> str:
        """Padded keys or values [B, channels, h, w] as the keys of each column of tiles, cols + 2 reach wide."""
        cut = g("Reshape", x, g.sizes(B, channels, key_rows, g("Add", across, g.constant([1])), cols))
        blocks = g("Transpose", cut, perm=order)
        near = g.cut(blocks, 1, 0, -1)
        if reach:
            behind = g.cut(g.cut(blocks, 1, 1, 1 << 30), axis, 0, 2 * reach)
            near = g("Concat", near, behind, axis=axis)
        return g("Reshape", near, g.sizes(-1, *shape))

    keys = columns(k, depth, (0, 3, 1, 2, 4), 4, (depth, key_rows, cols + 2 * reach))
    values = columns(g("Pad", v, key_pads), width, (0, 3, 2, 4, 1), 3, (key_rows, cols + 2 * reach, width))
    padded = g("Pad", q, g.sizes(0, 0, 0, 0, 0, 0, bottom, right))
    tiles = g("Transpose", g("Reshape", padded, g.sizes(B, depth, down, rows, across, cols)), perm=(2, 0, 4, 3, 5, 1))
    queries = g("Reshape", tiles, g.sizes(down, -1, rows * cols, depth))
    mask = g("Reshape", _mask(g, rows, cols, reach, softmax=softmax), g.constant([rows * cols, -1]))

    body = Graph(g)
    index = body("Unsqueeze", "index", body.constant([0]))
    top = body("Mul", index, body.constant([rows]))
    end = body("Add", top, body.constant([rows + 2 * reach]))
    near_keys = body("Reshape", body.cut(keys, 2, top, end), body.constant([0, depth, -1]))
    near_values = body("Reshape", body.cut(values, 1, top, end), body.constant([0, -1, width]))
    logits = body("MatMul", body("Gather", queries, "index", axis=0), near_keys)
    weights = body("Softmax", body("Add", logits, mask), axis=-1) if softmax else body("Mul", logits, mask)
    attended = body("MatMul", weights, near_values)
    go_on = body("Identity", "go_on_in")
    loop = body.proto(
        "one_row_of_tiles",
        [
            helper.make_tensor_value_info(n, t, [])
            for n, t in (("index", TensorProto.INT64), ("go_on_in", TensorProto.BOOL))
        ],
        [
            helper.make_tensor_value_info(go_on, TensorProto.BOOL, []),
            helper.make_tensor_value_info(attended, TensorProto.FLOAT, [None, rows * cols, width]),
        ],
    )
    attended = g("Loop", g("Squeeze", down), "", body=loop)
    tiles = g("Reshape", attended, g.sizes(down, B, across, rows, cols, width))
    whole = g("Transpose", tiles, perm=(1, 5, 0, 3, 2, 4))
    whole = g("Reshape", whole, g.sizes(B, width, g("Add", H, bottom), g("Add", W, right)))
    whole = g.cut(g.cut(whole, 2, 0, H), 3, 0, W)
    return whole if softmax else g("Div", whole, _neighbours(g, H, W, window))


def _mask(g: Graph, rows: int, cols: int, reach: int, *, softmax: bool) -> str:
    """The mask of the keys that queries of a tile [rows, cols] see: 0 or never for softmax, else 1 or 0."""

    def near(size: int, shape: tuple[int, ...]) -> str:
        query, key = np.arange(size)[:, None], np.arange(size + 2 * reach)
        seen = ((key >= query) & (key <= query + 2 * reach)).reshape(shape)
        return g.constant(np.where(seen, 0, _NEVER) if softmax else seen.astype(np.float32))

    # small constants, from which the mask is made once before the loop
    return g("Add" if softmax else "Mul", near(rows, (rows, 1, -1, 1)), near(cols, (1, cols, 1, -1)))


def _neighbours(g: Graph, H: str, W: str, window: int) -> str:
    """The number of neighbours of each pixel, [1, 1, H, W]: fewer near the border."""
    reach = g.constant([window // 2])
    counts = []
    for size, axes in ((H, [0, 1, 3]), (W, [0, 1, 2])):
        last = g("Sub", size, g.constant([1]))
        place = g("Range", g.constant(np.array(0)), g("Squeeze", size), g.constant(np.array(1)))
        first = g("Max", g("Sub", place, reach), g.constant([0]))
        number = g("Add", g("Sub", g("Min", g("Add", place, reach), last), first), g.constant([1]))
        counts.append(g("Unsqueeze", g("Cast", number, to=TensorProto.FLOAT), g.constant(axes)))
    return g("Mul", *counts)
