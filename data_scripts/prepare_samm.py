"""Prepare SAMM from your copy: the folder with 006/ ... and SAMM_Micro_FACS_Codes_v2.xlsx.

    python data_scripts/prepare_samm.py --source FOLDER [--skip-bad]

The same as ``ferlib corpus prepare samm``; README.md beside this file says where to apply and what to expect.
"""

import sys

from ferlib.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["corpus", "prepare", "samm"]
    main()
