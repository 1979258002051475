"""What is run as a script under CuPy is not imported to look for tests."""

collect_ignore = ["uses.py"]
