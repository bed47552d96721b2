"""Prepare FER2013 from your copy: fer2013.csv, icml_face_data.csv, train.csv, or the folder with train/ and test/.

    python data_scripts/prepare_fer2013.py --source PATH [--votes fer2013new.csv] [--skip-bad]

The same as ``ferlib corpus prepare fer2013``; README.md beside this file says where to apply and what to expect.
"""

import sys

from ferlib.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["corpus", "prepare", "fer2013"]
    main()
