"""CREMA-D's table of votes: a small one in its format, and the real one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ser_runtime.errors import CorporaError
from ser_runtime.labels import EMOTIONS
from ser_train.corpora import parse_clip
from ser_train.crowd_votes import read_votes

HEADER = '"","A","D","F","H","N","S","fileName","numResponses","agreement","emoVote"'
WHERE = r"CREMA-D\) as processedResults/tabulatedVotes\.csv"


def write(path: Path, *rows: str) -> Path:
    path.write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    return path


def test_votes_are_in_the_order_of_the_labels(tmp_path: Path) -> None:
    path = write(tmp_path / "votes.csv", '"100001",1,2,3,4,5,6,"1001_IEO_NEU_XX",21,0.3,"S"')
    votes = dict(zip(EMOTIONS, read_votes(path)["CREMA-D/1001_IEO_NEU_XX"].tolist(), strict=True))
    assert votes == {
        "angry": 1, "disgust": 2, "fear": 3, "happy": 4, "neutral": 5, "sad": 6, "surprise": 0,
    }  # fmt: skip


def test_only_votes_on_the_voice_alone_count(tmp_path: Path) -> None:
    path = write(
        tmp_path / "votes.csv",
        '"200001",0,0,0,0,9,0,"1001_IEO_NEU_XX",9,1,"N"',
        '"100001",0,0,0,1,10,0,"1001_IEO_NEU_XX",11,0.9,"N"',
        '"300001",9,0,0,0,0,0,"1001_IEO_NEU_XX",9,1,"A"',
    )
    assert read_votes(path)["CREMA-D/1001_IEO_NEU_XX"].sum() == 11


def test_a_missing_file_says_where_it_comes_from(tmp_path: Path) -> None:
    with pytest.raises(CorporaError, match=rf"no file .*none\.csv: it comes with .*{WHERE}"):
        read_votes(tmp_path / "none.csv")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"FileName,VoiceVote\n1001_IEO_NEU_XX,N\n",
        b"\xff\xfe\x00binary",
        f'{HEADER}\n"100001",0,0,many,1,10,0,"1001_IEO_NEU_XX",11,0.9,"N"\n'.encode(),
        f'{HEADER}\n"100001",0,0,0,0,0,0,"1001_IEO_NEU_XX",0,0,"N"\n'.encode(),
        f'{HEADER}\n"100001",0,0,-1,1,10,0,"1001_IEO_NEU_XX",10,0.9,"N"\n'.encode(),
        f'{HEADER}\n"100001",0,0\n'.encode(),
        f'{HEADER}\n"200001",0,0,0,0,9,0,"1001_IEO_NEU_XX",9,1,"N"\n'.encode(),
    ],
    ids=[
        "empty", "other table", "no text", "no number", "no vote", "negative", "cut off",
        "faces only",
    ],
)  # fmt: skip
def test_another_or_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "votes.csv").write_bytes(content)
    with pytest.raises(CorporaError, match=WHERE):
        read_votes(tmp_path / "votes.csv")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorporaError, match="cannot read"):
        read_votes(tmp_path)


def test_listeners_of_the_real_table_hear_the_intended_emotion_40_percent_of_the_time(
    corpora: Path,
) -> None:
    votes = read_votes(corpora / "CREMA-D" / "tabulatedVotes.csv")
    assert len(votes) == 7442
    intended = [parse_clip(Path(f"{clip_id}.wav")).emotion for clip_id in votes]
    hits = sum(int(votes[i][EMOTIONS.index(e)]) for i, e in zip(votes, intended, strict=True))
    total = sum(int(np.sum(counts)) for counts in votes.values())
    assert total == 68_568
    assert hits / total == pytest.approx(0.400, abs=5e-4)
