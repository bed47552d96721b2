"""Prepare SMIC-HS from your copy: the folder with HS/.

    python data_scripts/prepare_smic.py --source FOLDER [--skip-bad]

The same as ``ferlib corpus prepare smic``; README.md beside this file says where to apply and what to expect.
"""

import sys

from ferlib.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["corpus", "prepare", "smic"]
    main()
