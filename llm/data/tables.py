"""Parquet: only the columns that are needed, a few megabytes at a time; conditions on whole batches where that gives
the same answer as row by row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nimllm.errors import NimError
from nimllm.llm.data.filters import Both, Column, Compare, In, IsNull, Length, Literal, Node, Not, Truth, Where

_BATCH = 8_000_000  # bytes of a batch, by what the row group says of itself
_ROWS = 4096


class Unsupported(Exception):
    """A condition that is tested row by row."""


def table_rows(path: Path, wanted: list[str], where: Where | None) -> Iterator[tuple[int, dict[str, Any] | None, bool]]:
    """(row number from 1, {column: value}, is it known to pass ``where``) of a parquet file.

    The row is None where the condition is known to leave it out. Of ``wanted`` and the condition's columns those that
    exist are read. NimError: not a good parquet file, or the condition names a column that it does not have.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise NimError(f"cannot read {path}", "parquet needs pyarrow", "pip install pyarrow, or give JSONL") from None
    try:
        # a buffered stream: otherwise a whole row group, often 1 GB, is read at once
        with pyarrow.parquet.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False) as table:
            names = table.schema_arrow.names
            columns = [name for name in wanted if name in names]
            for name in where.columns if where else ():
                root = name if name in names else name.split(".")[0]
                if root not in names:
                    raise NimError(f"{path} has no column {name!r}, which --where asks for",
                                   f"its columns are {', '.join(names)}", "correct the condition")
                if root not in columns:
                    columns.append(root)
            number = 0
            for group in range(table.num_row_groups):
                for batch in table.iter_batches(_rows_at_once(table.metadata.row_group(group), columns), [group],
                                                columns, use_threads=False):
                    yield from _batch(batch, number, where)
                    number += batch.num_rows
    except (OSError, pyarrow.ArrowException) as error:
        raise NimError(f"cannot read {path}", str(error).splitlines()[0], "it is not a good parquet file") from None


def table_columns(path: Path) -> list[str]:
    """The names of the columns; NimError when it is not a good parquet file."""
    try:
        import pyarrow
        import pyarrow.parquet

        return list(pyarrow.parquet.read_schema(path).names)
    except ImportError:
        raise NimError(f"cannot read {path}", "parquet needs pyarrow", "pip install pyarrow, or give JSONL") from None
    except (OSError, pyarrow.ArrowException) as error:
        raise NimError(f"cannot read {path}", str(error).splitlines()[0], "it is not a good parquet file") from None


def _rows_at_once(group: Any, columns: list[str]) -> int:
    size = sum(group.column(number).total_uncompressed_size for number in range(group.num_columns)
               if group.column(number).path_in_schema.split(".")[0] in columns)
    return max(1, min(_ROWS, _BATCH * max(1, group.num_rows) // max(1, size)))


def _batch(batch: Any, number: int, where: Where | None) -> Iterator[tuple[int, dict[str, Any] | None, bool]]:
    known = where is None
    if where is not None:
        try:
            keep = mask(where.node, batch)
        except Unsupported:
            pass
        else:
            known = True
            kept = iter(batch.filter(keep).to_pylist())
            for passes in keep.to_pylist():
                number += 1
                yield number, next(kept) if passes else None, True
            return
    for row in batch.to_pylist():
        number += 1
        yield number, row, known


def mask(node: Node, batch: Any) -> Any:
    """Which rows of an arrow batch pass, as a boolean array without nulls: exactly as ``node.test`` says it of each.

    Unsupported when a type's rules differ between arrow and Python, or a row would raise WrongType.
    """
    import pyarrow
    import pyarrow.compute as compute

    try:
        return compute.fill_null(_mask(node, batch, pyarrow, compute), False)
    except (pyarrow.ArrowException, OverflowError, TypeError, KeyError) as error:
        raise Unsupported(str(error)) from None


def _mask(node: Node, batch: Any, arrow: Any, compute: Any) -> Any:
    if isinstance(node, Both):
        join = compute.or_kleene if node.decides else compute.and_kleene
        found = _mask(node.items[0], batch, arrow, compute)
        for item in node.items[1:]:
            found = join(found, _mask(item, batch, arrow, compute))
        return found
    if isinstance(node, Not):
        return compute.invert(_mask(node.item, batch, arrow, compute))
    if isinstance(node, IsNull):
        if not isinstance(node.operand, Column):
            raise Unsupported("only columns")
        return compute.is_null(_array(node.operand, batch, arrow, compute))
    if isinstance(node, Truth):
        if isinstance(node.operand, Literal):
            raise Unsupported("a constant")
        return compute.not_equal(_numbers(_array(node.operand, batch, arrow, compute), arrow, compute), 0)
    if isinstance(node, In):
        if isinstance(node.operand, Literal):
            raise Unsupported("a constant")
        held = _array(node.operand, batch, arrow, compute)
        texts = isinstance(node.values[0], str)
        if texts != _is_text(held, arrow):
            raise Unsupported("other types")
        held = held if texts else _numbers(held, arrow, compute)
        values = [value if texts else _number(value, held, arrow) for value in node.values]
        isin = compute.is_in(held, value_set=arrow.array(values, held.type))
        return compute.if_else(compute.is_null(held), None, isin)
    assert isinstance(node, Compare)
    call = {"=": compute.equal, "!=": compute.not_equal, "<": compute.less, "<=": compute.less_equal,
            ">": compute.greater, ">=": compute.greater_equal}[node.sign]
    if isinstance(node.left, Literal) or not isinstance(node.right, Literal):
        raise Unsupported("only a column with a constant")
    held = _array(node.left, batch, arrow, compute)
    content = node.right.content
    if isinstance(content, str) != _is_text(held, arrow):
        raise Unsupported("other types")
    if isinstance(content, str):
        return call(held, arrow.scalar(content, held.type))
    held = _numbers(held, arrow, compute)
    return call(held, arrow.scalar(_number(content, held, arrow), held.type))


def _array(operand: Any, batch: Any, arrow: Any, compute: Any) -> Any:
    column = operand.column if isinstance(operand, Length) else operand
    if column.name not in batch.schema.names:
        raise Unsupported("a path")
    held = batch.column(column.name)
    if isinstance(operand, Length):
        if not _is_text(held, arrow):
            raise Unsupported("the length of no text")
        return compute.utf8_length(held)
    return held


def _is_text(held: Any, arrow: Any) -> bool:
    return bool(arrow.types.is_string(held.type) or arrow.types.is_large_string(held.type))


def _numbers(held: Any, arrow: Any, compute: Any) -> Any:
    """The array as int64 or float64, where that changes no value."""
    kind = held.type
    if arrow.types.is_boolean(kind) or arrow.types.is_integer(kind):
        return compute.cast(held, arrow.int64())
    if arrow.types.is_float32(kind) or arrow.types.is_float64(kind):
        return compute.cast(held, arrow.float64())
    raise Unsupported(str(kind))


def _number(content: Any, held: Any, arrow: Any) -> Any:
    """The constant in the array's type, where that changes no value."""
    if arrow.types.is_integer(held.type):
        if content != int(content) or not -(1 << 63) <= content < 1 << 63:
            raise Unsupported("no such integer")
        return int(content)
    if float(content) != content:
        raise Unsupported("no such float")
    return float(content)
