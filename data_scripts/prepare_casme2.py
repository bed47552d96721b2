"""Prepare CASME II from your copy: the folder with Cropped/ and CASME2-coding-20140508.xlsx.

    python data_scripts/prepare_casme2.py --source FOLDER [--skip-bad]

The same as ``ferlib corpus prepare casme2``; README.md beside this file says where to apply and what to expect.
"""

import sys

from ferlib.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["corpus", "prepare", "casme2"]
    main()
