"""The face rig: procedural heads whose every Action Unit is known exactly.

``people`` says who, ``expressions`` what the face does, ``camera`` where it is and in what light; ``render`` draws,
``writers`` puts a corpus on disk in the layout of a real one.  Below these, ``head`` is the mean surface,
``muscles`` how AUs move it, ``landmarks`` where its points are, ``raster`` which point a pixel shows,
``lighting``, ``skin`` and ``hair`` how it is lit, coloured and covered, ``dress`` what depends on the person alone,
``paint`` the crisp features, ``photo`` the photograph.
"""
