"""Parquet files as pyarrow writes them, one for each codec: 10 rows in groups of 4, the sixth text missing."""

import pathlib

import pyarrow as pa
import pyarrow.parquet as pq

here = pathlib.Path(__file__).parent
texts = [None if i == 5 else f"Text {i}: the white whale, é, €, 😀.\n" for i in range(10)]
table = pa.table(
    {
        "id": pa.array(range(10), pa.int64()),
        "text": pa.array(texts, pa.string()),
        "title": pa.array([f"Chapter {i % 3}" for i in range(10)], pa.string()),
        "words": pa.array([["a", "b"]] * 10, pa.list_(pa.string())),
    }
)
for codec in ["none", "snappy", "gzip", "zstd", "brotli", "lz4"]:
    pq.write_table(table, here / f"{codec}.parquet", compression=codec, row_group_size=4)
