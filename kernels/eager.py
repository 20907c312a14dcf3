"""Functions that torch.compile must not trace: they read numbers from tensors, or launch kernels of their own."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import torch

F = TypeVar("F", bound=Callable[..., Any])


def eager(function: F) -> F:
    """Decorator: under torch.compile the call is a graph break, and what it calls is not traced.

    ``torch.compiler.disable`` imports Dynamo, two seconds of every start, so it is applied when something is being
    compiled.
    """

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if torch.compiler.is_compiling():
            return torch.compiler.disable(function)(*args, **kwargs)
        return function(*args, **kwargs)

    return call  # type: ignore[return-value]
