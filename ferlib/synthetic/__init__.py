"""The face rig: procedural heads whose every Action Unit is known exactly.

``people`` says who, ``expressions`` what the face does, ``camera`` where and in what light, ``render`` draws,
``writers`` puts a corpus on disk in the layout of a real one.
"""
