"""Micro-expressions: clips, what moves in them, and who names them best (Breuer & Kimmel 2017, sec. 4).

``clips``  a store's clips, at one length, aligned; the damaged ones left out with a reason
``motion`` differences, optical flow, magnification        ``lbptop``  local binary patterns in space and time
``network`` an LSTM over the features of an emotion network  ``loso``  leave one subject out  ``kept``  its folds
``baselines``  what it is compared with, in the same folds
``measures`` classes and pooled scores                     ``spotting`` where in a long clip it happens
``probes``  what the LSTM uses
"""
