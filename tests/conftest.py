"""What all tests share. Property tests draw the same examples every time, so that a run is red or green for a reason in
the change; ``HYPOTHESIS_PROFILE=search`` draws new ones."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("same", derandomize=True)
settings.register_profile("search")
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
