"""Tables in Parquet files, which may be damaged."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq


def read_table(path: Path, wanted: Callable[[str], bool] = bool) -> pd.DataFrame:
    """The rows of a Parquet file, of those columns whose name is `wanted`. Checksums of its pages,
    where it has any, are checked.

    Raises OSError for a file that cannot be opened, and ValueError, in one line, for one that is
    no table.
    """
    try:
        with path.open("rb") as stream:
            file = pq.ParquetFile(stream, page_checksum_verification=True)
            columns = [name for name in file.schema_arrow.names if wanted(name)]
            rows: pd.DataFrame = file.read(columns=columns).to_pandas()
            return rows
    except Exception as error:
        # Of a damaged file Arrow and pandas raise anything: NotImplementedError, KeyError,
        # MemoryError for the billions of rows that it claims to have, and OSError without a number.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        said = " ".join(str(error).split())
        raise ValueError(f"not a readable table ({type(error).__name__}: {said})") from error
