"""``simplevtr export-tracks``, for a clone; see ``simplevtr/commands/export_tracks.py``."""

from simplevtr.commands.export_tracks import main

if __name__ == "__main__":
    raise SystemExit(main())
