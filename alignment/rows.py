"""Rows of JSONL and parquet files for fine-tuning, and the account of those that are left out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nimllm.errors import NimError
from nimllm.llm.data import streams
from nimllm.llm.data.tables import table_columns, table_rows
from nimllm.llm.data.tally import Tally

_FORM = 'rows look like {"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]}'


def json_rows(path: Path, tally: Tally) -> Iterator[tuple[str, dict[str, Any]]]:
    """(where it stands, the object) of every row of a JSONL (also compressed) or parquet file, in bounded memory.

    What is no object of JSON is counted as bad. NimError: a file that cannot be read.
    """
    if path.is_dir():
        raise NimError(f"{path} is a folder", "", "name its files")
    if path.suffix == ".parquet":
        for number, row, _ in table_rows(path, table_columns(path), None):
            yield f"{path} row {number}", present(row)
        return
    size = f"{streams.LONGEST_ROW // 1_000_000} MB"
    with streams.opened(path) as file:
        for number, line in streams.rows(file):
            where = f"{path} line {number}"
            if line is None:
                tally.bad(f"rows of more than {size}", NimError(f"{where} is longer than {size}", "", "cut it"), where)
                continue
            try:
                row = json.loads(line.decode())
            except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
                tally.bad("not JSON", NimError(f"{where} is not JSON", str(error), "mend the line or leave it out"),
                          where)
                continue
            if isinstance(row, dict):
                yield where, row
            else:
                tally.bad("not an object", NimError(f"{where} is not an object", "", _FORM), where)


def present(value: Any) -> Any:
    """Without the fields that are null: parquet gives every struct all fields of its column."""
    if isinstance(value, dict):
        return {key: present(inner) for key, inner in value.items() if inner is not None}
    return [present(inner) for inner in value] if isinstance(value, list) else value


def places(tally: Tally) -> str:
    """ "2 not JSON (rows.jsonl line 3, rows.jsonl line 8), 1 not a conversation (…)"."""
    return ", ".join(f"{entry.count:,} {reason} ({', '.join(entry.first)}"
                     + (", …)" if entry.count > len(entry.first) else ")")
                     for reason, entry in sorted(tally.reasons.items()))
