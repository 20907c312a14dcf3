"""The native part of the package; everything else is in pyproject.toml."""

from setuptools import Extension, setup

SOURCES = ["engine", "model", "forward", "threads", "kernels_portable", "kernels_avx2", "kernels_avx512"]
HEADERS = ["engine.h", "failure.h", "model.h", "threads.h", "kernels.h", "kernels_body.h"]

# A plain C library loaded with ctypes: it neither includes nor links Python. No -march: one file runs on every x86-64,
# the processor is asked at run time. Optional: without a compiler the package installs and decodes with torch.
setup(
    ext_modules=[
        Extension(
            "nimllm.kernels._engine",
            [f"kernels/csrc/{name}.cpp" for name in SOURCES],
            depends=[f"kernels/csrc/{name}" for name in HEADERS],
            language="c++",
            extra_compile_args=["-O3", "-std=c++17", "-pthread", "-fvisibility=hidden", "-Wno-psabi", "-g0"],
            extra_link_args=["-pthread"],
            optional=True,
        )
    ]
)
