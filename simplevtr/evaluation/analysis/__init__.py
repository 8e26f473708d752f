"""What explains a score: kinds of errors, groups of tracks, HOTA, J, identity switches, confusions.

Its functions take what ``load_ground_truth`` and ``load_results`` return.
"""
