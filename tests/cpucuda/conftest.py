"""What replaces CUDA is imported by the stand-in alone; its own tests need it under CuPy."""

import os

collect_ignore = ["inject"] if os.environ.get("CPUCUDA_HOME") else ["inject", "test_cpucuda.py"]
