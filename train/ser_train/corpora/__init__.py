"""The four corpora of the report: which clips there are, who speaks, what is wrong with them."""

from ser_train.corpora.clip import CORPORA
from ser_train.corpora.clip import Clip
from ser_train.corpora.index import CorpusIndex
from ser_train.corpora.index import LeftOut
from ser_train.corpora.index import read_corpora
from ser_train.corpora.naming import parse_clip

__all__ = ["CORPORA", "Clip", "CorpusIndex", "LeftOut", "parse_clip", "read_corpora"]
