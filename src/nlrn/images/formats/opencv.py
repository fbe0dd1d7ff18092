"""OpenCV's decoder, for what is deeper than 8 bits; it is loaded when there is such a file."""

import threading

import numpy as np
import numpy.typing as npt

_level_lock = threading.Lock()


def decoded(data: bytes, page: int = 0) -> npt.NDArray[np.generic]:
    """One page of a file as stored, [H, W] or [H, W, 3 or 4] with red first.

    Raises:
        ValueError: it cannot be decoded.
    """
    import cv2

    # It prints what it finds wrong with a file. The level is global, hence the lock.
    with _level_lock:
        level = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        try:
            array = np.frombuffer(data, np.uint8)
            _, found = cv2.imdecodemulti(array, cv2.IMREAD_UNCHANGED, range=(page, page + 1))
        except cv2.error as error:
            raise ValueError("OpenCV cannot decode it") from error
        finally:
            cv2.utils.logging.setLogLevel(level)
    if not found:
        raise ValueError("the pixels are damaged")
    pixels = np.asarray(found[0])
    return pixels if pixels.ndim == 2 else pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]
