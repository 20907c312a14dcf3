"""The base of our optimizers: torch's, without the import of its compiler."""

from __future__ import annotations

import inspect

import torch


class Optimizer(torch.optim.Optimizer):
    """torch marks these methods as not to be traced, and imports Dynamo for it on the first call: two seconds of every
    start of a training. Nothing here compiles an optimizer."""

    add_param_group = inspect.unwrap(torch.optim.Optimizer.add_param_group)
    load_state_dict = inspect.unwrap(torch.optim.Optimizer.load_state_dict)
    state_dict = inspect.unwrap(torch.optim.Optimizer.state_dict)
    zero_grad = inspect.unwrap(torch.optim.Optimizer.zero_grad)
