"""The machinery of the facial-expression book."""

import os

__version__ = "0.1.0"

# torch's threads spin while they wait, and keep the core from whoever has work: with other processes on the
# same two cores, training ran at 168 faces/s instead of 630.  Read once, when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
