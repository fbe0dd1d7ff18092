"""The state of one open page: its pictures, their results, and the work under way for it."""

import asyncio
import secrets
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlrn.web import uploads
from nlrn.web.jobs import Job, JobCancelledError, Lane
from nlrn.web.order import Order
from nlrn.web.refused import RefusedError

if TYPE_CHECKING:
    from nlrn.web.pieces import Pieces
    from nlrn.web.results import Result
    from nlrn.web.work import Models, Opened

MAX_SESSIONS = 40
_GRACE = 12.0  # seconds that a page may be away: a browser that lost the connection comes back in three
_LOOK = 2.0


@dataclass(eq=False)
class Entry:
    """A picture on a page."""

    id: str
    path: Path
    bytes: int
    opened: "Opened | None" = None
    refused: str | None = None
    result: "Result | None" = None
    wanted: Order | None = None
    """What the job under way, or the last one, does."""
    job: "Job[Result] | None" = None
    started: float | None = None
    failed: str | None = None
    opening: Job[Any] | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        return self.path.name

    def is_busy(self) -> bool:
        """Whether a job of its is under way."""
        return self.job is not None


class Session:
    """One open page.

    Args:
        folder: of its own, made and removed with it.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.entries: dict[str, Entry] = {}
        self.looked: dict[str, Job[Any]] = {}
        """Jobs that a request waits for, by what they are for."""
        self.arriving = 0
        """Uploads under way."""
        self._loop = asyncio.get_running_loop()
        self._watchers: set[asyncio.Event] = set()
        self._left = time.monotonic()

    def entry(self, id: str) -> Entry:  # noqa: A002  # its name in the address
        """The picture of that number.

        Raises:
            RefusedError: there is none.
        """
        if id not in self.entries:
            raise RefusedError("This picture is not on the page any more.", 404)
        return self.entries[id]

    def room(self) -> int:
        """Bytes that may still come.

        Raises:
            RefusedError: so many pictures are here that none may come.
        """
        if len(self.entries) + self.arriving >= uploads.MAX_FILES:
            raise RefusedError(f"There are {uploads.MAX_FILES} pictures here: take some away first.", 413)
        return uploads.MAX_BYTES_OF_PAGE - sum(entry.bytes for entry in self.entries.values())

    def changed(self) -> None:
        """Tell the page, from any thread."""
        self.call(self._wake)

    def call(self, action: Callable[[], None]) -> None:
        """Do something in the thread of the requests, from any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(action)

    def _wake(self) -> None:
        for watcher in self._watchers:
            watcher.set()

    def watch(self) -> asyncio.Event:
        """An event that is set at every change, until :meth:`unwatch`; the page counts as open meanwhile."""
        watcher = asyncio.Event()
        watcher.set()
        self._watchers.add(watcher)
        return watcher

    def unwatch(self, watcher: asyncio.Event) -> None:
        self._watchers.discard(watcher)
        self._left = time.monotonic()

    def is_left(self) -> bool:
        """Whether the page has been away for so long that it is closed."""
        return not self._watchers and not self.arriving and time.monotonic() - self._left > _GRACE

    def look(self, what: str, job: Job[Any]) -> None:
        """A job whose result a request waits for; one for the same thing that is not done is not wanted any more."""
        if what in self.looked:
            self.looked[what].cancel()
        self.looked[what] = job

    def remove(self, entry: Entry) -> None:
        """Take a picture away, and all that was made of it."""
        self.entries.pop(entry.id, None)
        for job in (entry.opening, entry.job):
            if job is not None:
                job.cancel()
        shutil.rmtree(entry.path.parent, ignore_errors=True)
        self.changed()

    def close(self) -> None:
        """End all work and remove all files."""
        for job in self.looked.values():
            job.cancel()
        for entry in list(self.entries.values()):
            self.remove(entry)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.changed()  # who listens hears of it at once, on a page without a picture too


class Studio:
    """All open pages, and the threads that work for them.

    Args:
        folder: where files are kept.
        models: makes the models that are offered; takes seconds, so that it runs after the page is there.
        offers: what the page says of them.
    """

    def __init__(self, folder: Path, models: "Callable[[], Models]", offers: dict[str, Any]) -> None:
        self.folder = folder
        self.offers = offers
        self.sessions: dict[str, Session] = {}
        self.stopping = asyncio.Event()
        """Set when the program is about to end: no request waits any longer."""
        # reading, what is looked at, and whole pictures do not wait for one another
        self.reading, self.looking = Lane("reading"), Lane("looking")
        self.restoring = Lane("restoring", lets_through=True)
        self._load = Job(1, lambda progress: models())
        self._pieces: Pieces | None = None
        self.looking.add(self._load)

    async def models(self) -> "Models":
        """The models, when they are there."""
        return await asyncio.wrap_future(self._load.result)

    def loaded(self) -> "Models":
        """The models, in a thread that may wait for them."""
        return self._load.result.result()

    def pieces(self) -> "Pieces":
        """Restores parts of pictures; in the thread of :attr:`looking` alone."""
        if self._pieces is None:
            from nlrn.web.pieces import Pieces

            self._pieces = Pieces(self.loaded())
        return self._pieces

    def speed(self, entry: Entry) -> float | None:
        """Pixels a second that the job of a picture will do, where that was seen before."""
        if entry.opened is None or entry.wanted is None:
            return None
        return self.loaded().speed(entry.wanted, entry.opened.pages[0])

    def begin(self) -> tuple[str, Session]:
        """A page was opened.

        Raises:
            RefusedError: too many are.
        """
        if len(self.sessions) >= MAX_SESSIONS:
            raise RefusedError(f"{MAX_SESSIONS} pages are open: close some of them.", 503)
        token = secrets.token_urlsafe(24)
        session = self.sessions[token] = Session(self.folder / secrets.token_hex(8))
        return token, session

    def session(self, token: str) -> Session:
        """The page of that token.

        Raises:
            RefusedError: there is none.
        """
        if token not in self.sessions:
            raise RefusedError("This page was closed, or nlrn was started anew: load it again.", 410)
        return self.sessions[token]

    def end(self, token: str) -> None:
        """A page was closed."""
        self.sessions.pop(token).close()

    async def watch(self) -> None:
        """Close the pages that were left, for ever."""
        while True:
            await asyncio.sleep(_LOOK)
            for token in [token for token, session in self.sessions.items() if session.is_left()]:
                self.end(token)

    def stop(self) -> None:
        """Let all requests end, as far as they wait; from a signal handler too."""
        for session in self.sessions.values():
            session.call(self.stopping.set)
            session.changed()

    def close(self) -> bool:
        """End everything; False if a piece of work did not stop in time."""
        for token in list(self.sessions):
            self.end(token)
        stopped = [lane.close(patience=1) for lane in (self.reading, self.looking, self.restoring)]
        return all(stopped)

    def open(self, session: Session, entry: Entry) -> None:
        """Have an uploaded file read."""

        def read(progress: Callable[[int, int], None]) -> None:
            from nlrn.web import making, work

            try:
                entry.opened = work.open_picture(entry.path, entry.path.parent)
            except Exception as error:  # whatever is wrong with one picture, the page goes on
                entry.refused = making.sentence_of(entry.name, error)

        entry.opening = Job(max(1, entry.bytes), read, session.changed)
        self.reading.add(entry.opening)

    def restore(self, session: Session, entry: Entry, order: Order) -> None:
        """Have a whole picture restored that is read."""
        assert entry.opened is not None
        if entry.job is not None:
            entry.job.cancel()
        opened, factor = entry.opened, order.factor

        def work(progress: Callable[[int, int], None]) -> "Result":
            from nlrn.web.making import restored_file

            entry.started = time.monotonic()
            return restored_file(opened, order, self.loaded(), entry.path.parent, progress)

        job = Job(round(opened.pixels * factor**2), work, session.changed)
        entry.job, entry.wanted, entry.failed, entry.started = job, order, None, None
        job.result.add_done_callback(lambda _: self._finished(session, entry, job))
        self.restoring.add(job)
        session.changed()

    def _finished(self, session: Session, entry: Entry, job: "Job[Result]") -> None:
        if entry.job is job:  # and no newer one has taken its place
            entry.job = None
            error = None if job.result.cancelled() else job.result.exception()
            if job.result.cancelled() or isinstance(error, JobCancelledError):
                entry.wanted = None
            elif error is not None:
                from nlrn.web.making import sentence_of

                entry.failed = sentence_of(entry.name, error)
            else:
                if entry.result is not None:
                    entry.result.discard()
                entry.result = job.result.result()
        session.changed()
