"""The error by which the page says no."""


class RefusedError(Exception):
    """A request that cannot be met.

    Args:
        sentence: why, and what to do, for the person in front of the page.
        status: of the HTTP answer.
    """

    def __init__(self, sentence: str, status: int = 400) -> None:
        super().__init__(sentence)
        self.status = status
