"""The box of a child: made, read with suspicion, removed; nothing around it is ever touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskengine.adapters.process.box import Box, ResultError, box_name, sweep


@pytest.fixture
def box(tmp_path: Path) -> Box:
    (tmp_path / "in").mkdir()
    made = Box(str(tmp_path), str(tmp_path / "in"), name=box_name(7, 1))
    made.make(b'{"a":1}', (("script.py", "pass"),))
    return made


def test_a_box_holds_the_input_and_what_was_asked_for_and_is_nobody_elses(box: Box) -> None:
    assert Path(box.input_path).read_bytes() == b'{"a":1}'
    assert Path(box.path, "script.py").read_text() == "pass"
    assert Path(box.path).stat().st_mode & 0o777 == 0o700
    assert Path(box.input_path).stat().st_mode & 0o777 == 0o600


def test_a_box_is_removed_also_where_rights_were_taken_away_and_links_lead_out(box: Box, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o500)
    locked = Path(box.home, "locked")
    (locked / "below").mkdir(parents=True)
    (locked / "link").symlink_to(outside)
    locked.chmod(0)
    Path(box.path).chmod(0)
    tmp_path.chmod(0o755)
    box.remove()
    assert not Path(box.path).exists()
    assert not Path(box.input_folder).exists()
    assert outside.stat().st_mode & 0o777 == 0o500
    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_removing_what_is_gone_changes_nothing_around_it(box: Box, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    for _ in range(2):
        sweep([str(tmp_path), str(tmp_path / "in"), str(tmp_path / "nonesuch")], 7)
        box.remove()
    assert [one.name for one in tmp_path.iterdir()] == ["in"]
    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_another_keepers_box_is_not_swept(box: Box, tmp_path: Path) -> None:
    sweep([str(tmp_path)], 77)
    assert Path(box.path).exists()


def test_no_result_is_an_empty_one_and_a_link_is_none(box: Box, tmp_path: Path) -> None:
    assert box.result(10) == b""
    Path(box.result_path).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ResultError):
        box.result(10)
