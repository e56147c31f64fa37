"""`python -m ser_train` is `ser-train`."""

from ser_train.cli import main

if __name__ == "__main__":
    main()
