from judge import ask


def held_back(data: bytes, terminator: bytes) -> int:
    """How many bytes at the end of `data` may be the beginning of `terminator`, which is not in it as a whole."""
    return next(n for n in reversed(range(len(terminator))) if data.endswith(terminator[:n]))


if __name__ == "__main__":
    ask(__file__)
