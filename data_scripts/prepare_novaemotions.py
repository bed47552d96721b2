"""Prepare NovaEmotions from your copy: a csv manifest (path,emotion,subject and votes), or a folder an emotion.

    python data_scripts/prepare_novaemotions.py --source PATH [--skip-bad]

The same as ``ferlib corpus prepare novaemotions``; README.md beside this file says where to apply and what to expect.
"""

import sys

from ferlib.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["corpus", "prepare", "novaemotions"]
    main()
