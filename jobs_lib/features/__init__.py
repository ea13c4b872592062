"""What the jobs do, a package for each subject. No feature imports another, except as
tests/house/test_imports.py says."""
