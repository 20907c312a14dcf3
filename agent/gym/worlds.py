"""Random worlds: a folder tree in memory, made so that requests about it have interesting answers."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field
from pathlib import Path

