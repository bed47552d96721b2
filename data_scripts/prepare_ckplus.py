"""Prepare CK+ from your copy: the folder with cohn-kanade-images/, Landmarks/, FACS/ and Emotion/.

    python data_scripts/prepare_ckplus.py --source FOLDER [--skip-bad]

The same as ``ferlib corpus prepare ckplus``; README.md beside this file says where to apply and what to expect.
"""

import sys

from ferlib.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["corpus", "prepare", "ckplus"]
    main()
