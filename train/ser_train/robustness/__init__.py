"""How a recognizer does outside the corpora: in noise, over poor channels, and without speech."""
