"""What explains a score: kinds of errors, groups of tracks, HOTA, J, identity switches, confusions.

What scores or counts takes what ``load_ground_truth`` and ``load_results`` return.
"""
