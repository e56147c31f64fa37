"""`python -m ser_runtime` is `ser-listen`."""

from ser_runtime.cli import main

if __name__ == "__main__":
    main()
