"""The correlation on a GPU, in Triton: square tiles of queries that meet the tiles of keys around them.

Nothing here knows of PyTorch; :mod:`nlrn.correlation.gpu` calls it. Images are pixel-major, H W rows of channels, the
pixels evenly spaced. A map of logits, where there is one, is [tiles, tiles, queries, keys], so that every meeting of
two tiles is one piece of memory; of it only what tiles can see of each other is written. Sums and the softmax are
float32. Logits are kept as halves, and their gradients, which can be very small, as bf16.
"""

import triton
import triton.language as tl

SIDE = 8
"""Pixels along each side of a tile: 64 queries that meet 64 keys are a product of matrices that a GPU likes."""
_SIDE = tl.constexpr(SIDE)
_SIZE = tl.constexpr(SIDE * SIDE)
_LOG2E = tl.constexpr(1.4426950408889634)


@triton.jit
def _pixels(y, x, H, W):
    """Of a tile: the rows and columns of its pixels, their numbers, and whether they are in the image."""
    i = tl.arange(0, _SIZE)
    rows, columns = y * _SIDE + i // _SIDE, x * _SIDE + i % _SIDE
    return rows, columns, rows * W + columns, (rows < H) & (columns < W)


@triton.jit
def _met(at, tiles, reach):
    """The first and the end of the tiles along one axis that a tile can see."""
    far = (reach + _SIDE - 1) // _SIDE
    return tl.maximum(at - far, 0), tl.minimum(at + far + 1, tiles)


@triton.jit
def _seen(rows, columns, other_rows, other_columns, others_inside, reach):
    """[these, others]: who sees whom."""
    near = tl.abs(rows[:, None] - other_rows[None, :]) <= reach
    return near & (tl.abs(columns[:, None] - other_columns[None, :]) <= reach) & others_inside[None, :]


@triton.jit
def forward(
    q, k, v, out, lse, before, after, H, W, q_pixel, k_pixel, v_pixel, reach,
    D: tl.constexpr, M: tl.constexpr, CHUNK: tl.constexpr, ADDS: tl.constexpr, KEEPS: tl.constexpr,
):  # fmt: skip
    """Attended values and the log2-sum-exp of each pixel; with ``ADDS`` to logits of a map, with ``KEEPS`` in one."""
    image, tile, n = tl.program_id(1).to(tl.int64), tl.program_id(0), H * W
    down, across = tl.cdiv(H, _SIDE), tl.cdiv(W, _SIDE)
    y, x = tile // across, tile % across
    rows, columns, mine, inside = _pixels(y, x, H, W)
    q, k, v = q + image * n * q_pixel, k + image * n * k_pixel, v + image * n * v_pixel
    piece = (image * down * across + tile) * down * across * _SIZE * _SIZE
    within = tl.arange(0, _SIZE)[:, None] * _SIZE + tl.arange(0, _SIZE)[None, :]
    channels, values = tl.arange(0, CHUNK), tl.arange(0, M)
    first_y, end_y = _met(y, down, reach)
    first_x, end_x = _met(x, across, reach)

    highest = tl.full([_SIZE], -1e30, tl.float32)
    total = tl.zeros([_SIZE], tl.float32)
    sums = tl.zeros([_SIZE, M], tl.float32)
    for i in range(0, (end_y - first_y) * (end_x - first_x)):
        other_y, other_x = first_y + i // (end_x - first_x), first_x + i % (end_x - first_x)
        other_rows, other_columns, theirs, there = _pixels(other_y, other_x, H, W)
        logits = tl.zeros([_SIZE, _SIZE], tl.float32)
        for c in tl.static_range(0, D, CHUNK):
            queries = tl.load(q + mine[:, None] * q_pixel + (c + channels)[None, :], inside[:, None], 0.0)
            keys = tl.load(k + theirs[None, :] * k_pixel + (c + channels)[:, None], there[None, :], 0.0)
            logits = tl.dot(queries, keys, logits)
        place = piece + (other_y * across + other_x) * _SIZE * _SIZE + within
        if ADDS:
            logits += tl.load(before + place).to(tl.float32)
        if KEEPS:
            halves = logits.to(tl.float16)
            tl.store(after + place, halves)
            logits = halves.to(tl.float32)
        seen = _seen(rows, columns, other_rows, other_columns, there, reach)
        logits = tl.where(seen, logits * _LOG2E, float("-inf"))
        higher = tl.maximum(highest, tl.max(logits, 1))
        weights, shrinks = tl.exp2(logits - higher[:, None]), tl.exp2(highest - higher)
        total = total * shrinks + tl.sum(weights, 1)
        given = tl.load(v + theirs[:, None] * v_pixel + values[None, :], there[:, None], 0.0)
        sums = tl.dot(weights.to(given.dtype), given, sums * shrinks[:, None])
        highest = higher
    here = image * n + mine
    attended = (sums / total[:, None]).to(out.dtype.element_ty)
    tl.store(out + here[:, None] * M + values[None, :], attended, inside[:, None])
    tl.store(lse + here, highest + tl.log2(total), inside)


@triton.jit
def of_queries(
    q, k, v, out, grad, lse, share, dq, logits, later, slope, H, W, q_pixel, k_pixel, v_pixel, dq_pixel, reach,
    D: tl.constexpr, M: tl.constexpr, MAP: tl.constexpr, ADDS: tl.constexpr,
):  # fmt: skip
    """The gradients of the queries, and ``share``, each pixel's mean gradient of its weights.

    With ``MAP`` the logits are read instead of made, and their gradient goes to ``slope``, with ``ADDS`` that of the
    map of the next step added.
    """
    image, tile, n = tl.program_id(1).to(tl.int64), tl.program_id(0), H * W
    down, across = tl.cdiv(H, _SIDE), tl.cdiv(W, _SIDE)
    y, x = tile // across, tile % across
    rows, columns, mine, inside = _pixels(y, x, H, W)
    q, k, v = q + image * n * q_pixel, k + image * n * k_pixel, v + image * n * v_pixel
    piece = (image * down * across + tile) * down * across * _SIZE * _SIZE
    within = tl.arange(0, _SIZE)[:, None] * _SIZE + tl.arange(0, _SIZE)[None, :]
    channels, values = tl.arange(0, D), tl.arange(0, M)
    first_y, end_y = _met(y, down, reach)
    first_x, end_x = _met(x, across, reach)

    here = image * n + mine
    at = here[:, None] * M + values[None, :]
    wanted, attended = tl.load(grad + at, inside[:, None], 0.0), tl.load(out + at, inside[:, None], 0.0)
    mean = tl.sum(wanted.to(tl.float32) * attended.to(tl.float32), 1)
    tl.store(share + here, mean, inside)
    sum_of_all = tl.load(lse + here, inside, 0.0)
    queries = tl.load(q + mine[:, None] * q_pixel + channels[None, :], inside[:, None], 0.0)
    found = tl.zeros([_SIZE, D], tl.float32)
    for i in range(0, (end_y - first_y) * (end_x - first_x)):
        other_y, other_x = first_y + i // (end_x - first_x), first_x + i % (end_x - first_x)
        other_rows, other_columns, theirs, there = _pixels(other_y, other_x, H, W)
        place = piece + (other_y * across + other_x) * _SIZE * _SIZE + within
        keys = tl.load(k + theirs[:, None] * k_pixel + channels[None, :], there[:, None], 0.0)
        if MAP:
            logit = tl.load(logits + place).to(tl.float32)
        else:
            logit = tl.dot(queries, tl.trans(keys))
        seen = _seen(rows, columns, other_rows, other_columns, there, reach) & inside[:, None]
        weights = tl.where(seen, tl.exp2(logit * _LOG2E - sum_of_all[:, None]), 0.0)
        given = tl.load(v + theirs[None, :] * v_pixel + values[:, None], there[None, :], 0.0)
        steep = weights * (tl.dot(wanted, given) - mean[:, None])
        if ADDS:
            steep += tl.load(later + place).to(tl.float32)
        steep = steep.to(keys.dtype)
        if MAP:
            tl.store(slope + place, steep)
        found = tl.dot(steep, keys, found)
    tl.store(dq + here[:, None] * dq_pixel + channels[None, :], found.to(dq.dtype.element_ty), inside[:, None])


@triton.jit
def of_keys(
    q, k, v, grad, lse, share, dk, dv, logits, slope, H, W, q_pixel, k_pixel, v_pixel, dk_pixel, dv_pixel, reach,
    D: tl.constexpr, M: tl.constexpr, MAP: tl.constexpr,
):  # fmt: skip
    """The gradients of keys and values: tiles of keys meet the queries around them, after :func:`of_queries`."""
    image, tile, n = tl.program_id(1).to(tl.int64), tl.program_id(0), H * W
    down, across = tl.cdiv(H, _SIDE), tl.cdiv(W, _SIDE)
    y, x = tile // across, tile % across
    rows, columns, mine, inside = _pixels(y, x, H, W)
    q, k, v = q + image * n * q_pixel, k + image * n * k_pixel, v + image * n * v_pixel
    grad, lse, share = grad + image * n * M, lse + image * n, share + image * n
    first_piece = image * down * across
    # a piece is [queries, keys]; here keys come first
    within = tl.arange(0, _SIZE)[None, :] * _SIZE + tl.arange(0, _SIZE)[:, None]
    channels, values = tl.arange(0, D), tl.arange(0, M)
    first_y, end_y = _met(y, down, reach)
    first_x, end_x = _met(x, across, reach)

    keys = tl.load(k + mine[:, None] * k_pixel + channels[None, :], inside[:, None], 0.0)
    given = tl.load(v + mine[:, None] * v_pixel + values[None, :], inside[:, None], 0.0)
    found_k, found_v = tl.zeros([_SIZE, D], tl.float32), tl.zeros([_SIZE, M], tl.float32)
    for i in range(0, (end_y - first_y) * (end_x - first_x)):
        other_y, other_x = first_y + i // (end_x - first_x), first_x + i % (end_x - first_x)
        other_rows, other_columns, theirs, there = _pixels(other_y, other_x, H, W)
        place = ((first_piece + other_y * across + other_x) * down * across + tile) * _SIZE * _SIZE + within
        queries = tl.load(q + theirs[:, None] * q_pixel + channels[None, :], there[:, None], 0.0)
        wanted = tl.load(grad + theirs[:, None] * M + values[None, :], there[:, None], 0.0)
        sum_of_all = tl.load(lse + theirs, there, 0.0)
        if MAP:
            logit = tl.load(logits + place).to(tl.float32)
        else:
            logit = tl.dot(keys, tl.trans(queries))
        seen = _seen(rows, columns, other_rows, other_columns, there, reach) & inside[:, None]
        weights = tl.where(seen, tl.exp2(logit * _LOG2E - sum_of_all[None, :]), 0.0)
        found_v = tl.dot(weights.to(wanted.dtype), wanted, found_v)
        if MAP:
            # where nobody sees anybody it is zero already, but for pixels beyond the image
            steep = tl.load(slope + place).to(queries.dtype)
        else:
            mean = tl.load(share + theirs, there, 0.0)
            steep = (weights * (tl.dot(given, tl.trans(wanted)) - mean[None, :])).to(queries.dtype)
        found_k = tl.dot(steep, queries, found_k)
    here = image * n + mine
    tl.store(dk + here[:, None] * dk_pixel + channels[None, :], found_k.to(dk.dtype.element_ty), inside[:, None])
    tl.store(dv + here[:, None] * dv_pixel + values[None, :], found_v.to(dv.dtype.element_ty), inside[:, None])
