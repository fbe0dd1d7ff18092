"""Before any work: which files are inputs, where results go, what is refused or listed. No network is run."""

import os
import sys
from pathlib import Path

import pytest

from nlrn.batch import Job, UsageError, plan_jobs
from nlrn.batch.jobs import plan
from nlrn.batch.naming import Naming
from nlrn.batch.places import Folders, check
from nlrn.images import ImageFileError

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="links and names of POSIX")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with in/a.png and in/sub/b.png."""
    (tmp_path / "in" / "sub").mkdir(parents=True)
    for name in ("in/a.png", "in/sub/b.png"):
        (tmp_path / name).write_bytes(b"an image")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(inputs: list[str], out: str | None = "out", **naming: object) -> list[str]:
    """The outputs."""
    place = None if out is None else Path(out)
    planned = plan([Path(given) for given in inputs], place, Naming(**naming))  # type: ignore[arg-type]
    return [job.target.as_posix() for job in planned.jobs]


@POSIX
@pytest.mark.parametrize(
    "again",
    [
        "in/a.png",
        "./in/a.png",
        "in/../in/a.png",
        "in/sub/../a.png",
        "{here}/in/a.png",
        "in",
        "linked/a.png",
        "linked",
    ],
)
def test_a_picture_named_twice_is_done_once(here: Path, again: str) -> None:
    (here / "linked").symlink_to("in")
    made = names(["in/a.png", again.format(here=here)])
    assert sum(name.endswith("a.png") for name in made) == 1
    assert len(made) == len(set(made))


def test_a_picture_named_twice_goes_to_one_name(here: Path) -> None:
    assert names(["in/a.png", "./in/a.png", "in/../in/a.png"], "clean.png") == ["clean.png"]


@pytest.mark.parametrize(
    ("existing", "first", "again"),
    [
        ("a-denoised.png", {"suffix": "-denoised"}, {"suffix": "-denoised"}),
        ("a-denoised.jpg", {"suffix": "-denoised", "format": "jpg"}, {"suffix": "-denoised"}),
        ("a-x2.png", {"suffix": "-x2"}, {"suffix": "-denoised"}),
        ("a-x3.png", {"suffix": "-x3"}, {"suffix": "-x2"}),
        ("a-denoised.png", {"suffix": "-denoised"}, {"suffix": "-mine"}),
        ("a-mine.png", {"suffix": "-mine"}, {"suffix": "-mine", "format": "tif"}),
    ],
)
def test_results_of_an_earlier_run_are_no_inputs(here: Path, existing: str, first: dict, again: dict) -> None:
    before = names(["in"], None, **first)
    assert f"in/{existing}" in before
    for name in before:
        Path(name).write_bytes(b"a result")
    assert len(names(["in"], None, **again)) == 2
    assert len(names(["in"], "elsewhere", **again)) == 2
    earlier = plan([Path("in")], None, Naming(**again)).earlier
    assert [path.as_posix() for path in earlier] == before


def test_a_name_like_that_of_a_result_is_an_input_where_nothing_else_is(here: Path) -> None:
    (here / "in" / "only-denoised.png").write_bytes(b"no original")
    assert "out/only-denoised.png" in names(["in"])
    assert names(["in/a.png", "in/only-denoised.png"]) == ["out/a.png", "out/only-denoised.png"]


@pytest.mark.parametrize("name", ["results.v2", "2024.05.01", "St. Ives", "clean.png"])
def test_a_slash_at_the_end_says_that_it_is_a_folder(here: Path, name: str) -> None:
    for inputs in (["in/a.png"], ["in/a.png", "in/sub/b.png"], ["in"]):
        jobs = plan([Path(given) for given in inputs], Path(name), Naming(), folder=True).jobs
        assert jobs[0] == Job(
            Path(inputs[0]) / "a.png" if inputs == ["in"] else Path("in/a.png"), Path(name, "a.png")
        )


@pytest.mark.parametrize("inputs", [["in/a.png", "in/sub/b.png"], ["in"]])
@pytest.mark.parametrize("name", ["one.png", "one.JPG", "one.tiff", "one.gif"])
def test_several_pictures_do_not_go_to_one_name(here: Path, inputs: list[str], name: str) -> None:
    with pytest.raises(UsageError, match="need a folder"):
        names(inputs, name)
    (here / name).mkdir()
    assert names(inputs, name)[0] == f"{name}/a.png"


@pytest.mark.parametrize(
    ("given", "ending"), [("png", ".png"), ("PNG", ".png"), (".tif", ".tif"), ("jpg", ".jpg"), ("jpeg", ".jpeg")]
)
def test_a_format_for_all(here: Path, given: str, ending: str) -> None:
    (here / "in" / "c.pbm").write_bytes(b"a bitmap")
    assert names(["in"], format=given) == [f"out/{stem}{ending}" for stem in ("a", "c", "sub/b")]
    assert names(["in/a.png"], f"one{ending}", format=given) == [f"one{ending}"]


def test_formats_that_cannot_be_are_told_with_a_guess(here: Path) -> None:
    with pytest.raises(UsageError, match=r"tiif cannot be written: did you mean tiff?"):
        names(["in"], format="tiif")
    with pytest.raises(UsageError, match="leave out --format"):
        names(["in/a.png"], "one.png", format="tif")
    (here / "in" / "a.jpg").write_bytes(b"the same in another format")
    with pytest.raises(UsageError, match=r"a.jpg and in/a.png would both become out/a.tif"):
        names(["in"], format="tif")
    with pytest.raises(UsageError, match="would be overwritten"):
        names(["in"], None, format="png")


def test_replacing_keeps_each_original(here: Path) -> None:
    job = plan([Path("in/a.png")], None, Naming(replace=True)).jobs[0]
    assert (job.target, job.backup) == (here / "in" / "a.png", here / "in" / "a.png.orig")
    for wrong in ({"suffix": "-x"}, {"format": "png"}, {"backup": ""}, {"backup": "a/b"}):
        with pytest.raises(UsageError):
            names(["in"], None, replace=True, **wrong)
    with pytest.raises(UsageError, match="--replace"):
        names(["in"], "out", replace=True)


@POSIX
def test_what_is_passed_over_in_a_folder_is_listed(here: Path) -> None:
    """Links to folders, links that lead nowhere or in circles, things that are no files; but no junk."""
    for name, target in (("inner", "sub"), ("gone.png", "nowhere.png"), ("circle.png", "circle.png")):
        (here / "in" / name).symlink_to(target)
    os.mkfifo(here / "in" / "pipe.png")
    for name in (".hidden.png", "notes.txt", "Thumbs.db"):
        (here / "in" / name).write_bytes(b"")
    (here / "in" / "linked.png").symlink_to("a.png")
    planned = plan([Path("in")], Path("out"), Naming())
    assert [job.target.as_posix() for job in planned.jobs] == ["out/a.png", "out/linked.png", "out/sub/b.png"]
    assert {done.job.source.name for done in planned.passed_over} == {"inner", "gone.png", "circle.png", "pipe.png"}
    assert all(str(done.job.source) in str(done.reason) for done in planned.passed_over)


@POSIX
def test_links_to_folders_are_followed_where_asked_and_circles_end(here: Path) -> None:
    (here / "other").mkdir()
    (here / "other" / "c.png").write_bytes(b"an image")
    (here / "in" / "link").symlink_to(here / "other")
    (here / "in" / "sub" / "up").symlink_to(here / "in")
    assert names(["in"], follow_links=True) == ["out/a.png", "out/link/c.png", "out/sub/b.png"]


@POSIX
def test_a_gif_in_a_folder_is_an_input_so_that_it_is_told_what_becomes_of_it(here: Path) -> None:
    (here / "in" / "c.gif").write_bytes(b"GIF89a")
    assert "out/c.gif" in names(["in"])


@POSIX
@pytest.mark.parametrize("name", ["x" * 400 + ".png", "circle.png", "circle.png/a.png", "in/a.png/b.png"])
def test_names_that_lead_nowhere_are_left_to_whoever_reads_them(here: Path, name: str) -> None:
    (here / "circle.png").symlink_to("circle.png")
    assert names([name], "out.png") == ["out.png"]


@POSIX
@pytest.mark.parametrize("letter", ["x", "ß", "图", "🎈"])
def test_a_name_is_counted_in_bytes_before_the_work(here: Path, letter: str) -> None:
    size = len(letter.encode())
    fits = letter * ((255 - 4) // size) + ".png"
    check(here / fits)
    with pytest.raises(ImageFileError, match=r"takes .* bytes"):
        check(here / (letter + fits))


@POSIX
@pytest.mark.parametrize("place", ["in/a.png/x.png", "in/a.png/deep/x.png", "in", "dangling/x.png"])
def test_places_that_cannot_be_written_are_found_before_the_work(here: Path, place: str) -> None:
    (here / "dangling").symlink_to("in/a.png")
    with pytest.raises(ImageFileError, match=place.split("/")[-1]):
        check(Path(place))


def test_places_that_are_not_there_yet_are_none_of_them(here: Path) -> None:
    for place in ("new.png", "new/deep/new.png", "in/new.png"):
        check(Path(place))


def test_a_folder_that_vanishes_is_not_made_again(here: Path) -> None:
    folders, out = Folders(), here / "out" / "deep"
    folders.make(out)
    (out / "x.png").write_bytes(b"a result")
    assert not folders.lost(out / "x.png")
    (out / "x.png").rename(here / "taken.png")
    assert not folders.lost(out / "x.png")  # somebody fetched it: its folder is there
    out.rmdir()
    assert folders.lost(out / "x.png")
    with pytest.raises(ImageFileError, match="vanished"):
        folders.make(out)
    assert not out.exists()


def test_plan_jobs_says_the_pairs_alone(here: Path) -> None:
    assert plan_jobs([Path("in/a.png")], None, "-x") == [Job(Path("in/a.png"), Path("in/a-x.png"))]
