"""Tables in Parquet files, which may be damaged."""

from pathlib import Path

import pandas as pd


def read_table(path: Path) -> pd.DataFrame:
    """The rows of a Parquet file.

    Raises OSError for a file that cannot be opened, and ValueError, in one line, for one that is
    no table.
    """
    try:
        with path.open("rb") as stream:
            return pd.read_parquet(stream)
    except Exception as error:
        # Of a damaged file Arrow and pandas raise anything: NotImplementedError, KeyError,
        # MemoryError for the billions of rows that it claims to have, and OSError without a number.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        said = " ".join(str(error).split())
        raise ValueError(f"not a readable table ({type(error).__name__}: {said})") from error
